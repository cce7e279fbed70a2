// Command lines, read strictly: unknown options, missing values and the like throw a TypeError.
import { parseArgs } from 'node:util'

/** As parseArgs, but the argument after an option that takes a value is its value, whatever it begins with. */
export function parseOptions({ args = process.argv.slice(2), options, ...others }) {
  return parseArgs({ args: joined(args, options), options, ...others })
}

function joined([first, ...rest], options) {
  if (first === undefined || first === '--') return first === undefined ? [] : [first, ...rest]
  const takesValue = first.startsWith('--') && options[first.slice(2)]?.type === 'string'
  if (!takesValue || rest.length === 0) return [first, ...joined(rest, options)]
  return [`${first}=${rest[0]}`, ...joined(rest.slice(1), options)]
}
