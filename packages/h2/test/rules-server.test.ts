import { rulesOfServer } from "./rules/rule.ts";
import { serverFrameTypeRules } from "./rules/server-frame-types.ts";
import { serverFrameRules } from "./rules/server-frames.ts";
import { serverMessageRules } from "./rules/server-messages.ts";

rulesOfServer([...serverFrameRules, ...serverFrameTypeRules, ...serverMessageRules]);
