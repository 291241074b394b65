/** For `node --import`, in every process that tests run in or start; `test.ts` sees to it. */
import { poisonReleasedMemory } from "@cutline/runtime/testing";

poisonReleasedMemory();
