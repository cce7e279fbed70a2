// Keeps two processes from using one data folder (ASP-LOG-7). Node has no flock, so each process
// announces itself by a file named after itself, then looks for others that are alive: of two that
// start at once both may refuse, never both go on. A file whose process is gone is taken away.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const NAME = /^in-use-(\d+)-(\d+)$/

export function lockFolder(folder) {
  const mine = `in-use-${process.pid}-${startOf(process.pid) ?? 0}`
  const release = () => rmSync(join(folder, mine), { force: true })
  writeFileSync(join(folder, mine), '')
  for (const name of readdirSync(folder)) {
    const [, pid, start] = NAME.exec(name) ?? []
    if (pid === undefined || name === mine) continue
    if (isAlive(Number(pid), Number(start))) {
      release()
      throw new Error(`${folder} is in use by process ${pid}`)
    }
    rmSync(join(folder, name), { force: true })
  }
  return release
}

// A process id comes again; where /proc tells when a process began, that decides.
function isAlive(pid, start) {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
  const now = startOf(pid)
  return now === null ? pid !== process.pid : now === start
}

/** When a process began, in clock ticks since the machine did; null where that cannot be told or it has ended. */
function startOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? -1 : Number(fields[19])
  } catch {
    return null
  }
}
