// How a device stands with its server, in words: { kind, label, detail }. A kind is a colour, and what is
// worth being read out when it changes.
import { number, several } from './words.mjs'

/** `state` is the replica's; `fault` and `unkept` say what went wrong, or are null; `retryMs` until the next attempt. */
export function standing({ isOnline, retryMs, fault, unkept }, state) {
  const line = lineOf({ isOnline, retryMs }, state)
  const isTrouble = unkept !== null || fault !== null || state.refused > 0
  const isOdd = state.quarantined + state.conflicts > 0
  return {
    kind: isTrouble ? 'trouble' : isOdd && line === 'in sync' ? 'odd' : line.replaceAll(' ', '-'),
    label: isTrouble && line === 'in sync' ? 'not in sync' : line,
    detail: details({ retryMs, fault, unkept }, state).join('; ')
  }
}

function lineOf({ isOnline, retryMs }, state) {
  if (!isOnline) return 'offline'
  if (state.in_sync) return 'in sync'
  if (state.connected) return 'syncing'
  return retryMs > 0 ? 'no connection' : 'connecting'
}

function details({ retryMs, fault, unkept }, { changes, pending, refused, quarantined, conflicts }) {
  const held = `${several(changes, 'change')} on this device`
  return [
    unkept !== null && `this browser could not keep what was written last: ${unkept}`,
    fault,
    refused > 0 && `the server refuses ${several(refused, 'change')}, kept on this device alone`,
    quarantined > 0 && `${several(quarantined, 'change')} came that cannot be read`,
    conflicts > 0 && `the server has something else in place of ${several(conflicts, 'change')}`,
    retryMs > 0 && `next attempt in ${Math.ceil(retryMs / 1000)} s`,
    pending > 0 ? `${held}, ${number(pending)} to send` : held
  ].filter(Boolean)
}
