import { clientRules } from "./rules/client-rules.ts";
import { rulesOfClient } from "./rules/rule.ts";

rulesOfClient(clientRules);
