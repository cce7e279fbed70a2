// Numbers in words of the page.
export const number = (value) => value.toLocaleString('en')
export const several = (count, noun) => `${number(count)} ${noun}${count === 1 ? '' : 's'}`
