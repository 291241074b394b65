import type { Target } from "../../engine/target.ts";

/** Keeps something of every input. */
export const target: Target = {
  name: "keeps",
  testExecutions: 0,
  samples: () => [],
  generate: (random) => Buffer.from([random.below(50)]),
  open() {
    const kept: Buffer[] = [];
    return {
      run(input) {
        kept.push(Buffer.alloc(2_000, input[0]));
      },
      close() {},
    };
  },
};
