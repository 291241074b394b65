import type { Target } from "../../engine/target.ts";

/** Never comes back from an input that begins with 7. */
export const target: Target = {
  name: "hangs",
  testExecutions: 0,
  samples: () => [],
  generate: (random) => Buffer.from([random.below(50)]),
  open: () => ({
    run(input) {
      while (input[0] === 7);
    },
    close() {},
  }),
};
