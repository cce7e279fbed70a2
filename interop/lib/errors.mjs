// The faults that reading can find, each with the place where it is.

/** A text that violates section 8.2. */
export class Violation extends Error {
  constructor(what) {
    super(what)
    this.name = 'Violation'
  }
}

/** A member that is missing or wrong; `pointer` is its JSON Pointer. */
export class BadMember extends Error {
  constructor(pointer, what) {
    super(`${pointer}: ${what}`)
    this.name = 'BadMember'
    this.pointer = pointer
  }
}

/** A message of a type that the receiver does not know. */
export class UnknownType extends Error {
  constructor(type) {
    super(`${JSON.stringify(type.slice(0, 64))} is not a type that is expected here`)
    this.name = 'UnknownType'
  }
}

/** An envelope that must not be used; `requirement` is the rule that it breaks. */
export class BadEnvelope extends Error {
  constructor(requirement, what) {
    super(what)
    this.name = 'BadEnvelope'
    this.requirement = requirement
  }
}
