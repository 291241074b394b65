import type { System } from "../system/system.ts";
import { money, table } from "./words.ts";

const copies = 3;

/** Copies the balances without markers, as a script would: one branch after the other, while the money moves. */
export async function naiveCopies(system: System): Promise<string[]> {
  const rows: [string, string, string][] = [];
  for (let copy = 1; copy <= copies; copy += 1) {
    let sumCents = 0;
    for (const branch of system.branches) {
      const { balanceCents, unresolvedCents } = await branch.state();
      sumCents += balanceCents + unresolvedCents;
    }
    rows.push([`copy ${copy}`, money(sumCents), verdictOn(sumCents - system.totalCents)]);
  }
  return table(rows);
}

function verdictOn(differenceCents: number): string {
  if (differenceCents === 0) return "right, by luck: nothing moved just then";
  const amount = money(Math.abs(differenceCents));
  return differenceCents < 0 ? `wrong: ${amount} are missing` : `wrong: ${amount} too much, counted twice`;
}
