/** How long to wait after so many failures in a row (1 is the first): doubled each time, and up to a half less by `chance`. */
export function backOff(failures: number, msMin: number, msMax: number, chance: number): number {
  const whole = Math.min(msMax, msMin * 2 ** Math.min(failures - 1, 30));
  return Math.ceil(whole * (1 - chance / 2));
}
