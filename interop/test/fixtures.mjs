// Reading the fixtures that tests share.
import { readFileSync } from 'node:fs'

const root = new URL('../../fixtures/', import.meta.url)

export const bytesOf = (path) => readFileSync(new URL(path, root))
export const jsonOf = (path) => JSON.parse(bytesOf(path))
