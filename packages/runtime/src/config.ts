import { CutlineError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type { Setting } from "./setting.ts";

export type ConfigTable = Readonly<Record<string, Setting<unknown>>>;

export interface ConfigDefinition<Table extends ConfigTable = ConfigTable> {
  readonly table: Table;
  readonly prefix: string;
}

/** The values of a table, each with the type its setting reads. */
export type ConfigOf<Definition extends ConfigDefinition> = {
  readonly [Key in keyof Definition["table"]]: Definition["table"][Key] extends Setting<infer T> ? T : never;
};

export interface ConfigProblem {
  readonly variable: string;
  readonly message: string;
}

export type ConfigOutcome<Config> =
  | { readonly outcome: "ok"; readonly config: Config; readonly warnings: readonly ConfigProblem[] }
  | {
      readonly outcome: "invalid";
      readonly problems: readonly ConfigProblem[];
      readonly warnings: readonly ConfigProblem[];
    };

export type Environment = Readonly<Record<string, string | undefined>>;

export interface DefineConfigOptions {
  /** Variables that begin so and are not in the table are warned of. `CUTLINE_` by default. */
  readonly prefix?: string;
}

/** At most this many unknown variables are warned of. */
const warningsMax = 50;

/** Throws `DuplicateVariable` when two settings read the same variable. */
export function defineConfig<const Table extends ConfigTable>(
  table: Table,
  options: DefineConfigOptions = {},
): ConfigDefinition<Table> {
  const seen = new Set<string>();
  for (const setting of Object.values(table)) {
    if (seen.has(setting.variable)) {
      throw new CutlineError("DuplicateVariable", `two settings read ${setting.variable}; give each its own variable`);
    }
    seen.add(setting.variable);
  }
  return { table, prefix: options.prefix ?? "CUTLINE_" };
}

/** Reads every setting and reports all problems at once. A variable that is empty counts as not set. */
export function loadConfig<Definition extends ConfigDefinition>(
  definition: Definition,
  env: Environment,
): ConfigOutcome<ConfigOf<Definition>> {
  const problems: ConfigProblem[] = [];
  const values: Record<string, unknown> = Object.create(null);
  for (const [key, setting] of Object.entries(definition.table)) {
    const raw = env[setting.variable]?.trim();
    if (raw === undefined || raw === "") {
      values[key] = setting.defaultValue;
      if (setting.required) {
        problems.push({ variable: setting.variable, message: `is required: ${setting.doc}` });
      }
      continue;
    }
    const parsed = setting.parse(raw);
    if (parsed.outcome === "ok") {
      values[key] = parsed.value;
    } else {
      problems.push({ variable: setting.variable, message: parsed.message });
    }
  }
  const warnings = unknownVariables(definition, env);
  return problems.length > 0
    ? { outcome: "invalid", problems, warnings }
    : // The loop has set every key of the table to what its own setting yields.
      { outcome: "ok", config: values as ConfigOf<Definition>, warnings };
}

function unknownVariables(definition: ConfigDefinition, env: Environment): ConfigProblem[] {
  const known = new Set(Object.values(definition.table).map((setting) => setting.variable));
  return Object.keys(env)
    .filter((variable) => variable.startsWith(definition.prefix) && !known.has(variable))
    .filter((variable) => !isServiceLink(variable, env[variable] ?? ""))
    .sort()
    .slice(0, warningsMax)
    .map((variable) => {
      const suggestion = nearest(variable, known);
      const hint = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
      return { variable, message: `is not a setting of this program and is ignored${hint}` };
    });
}

/** Kubernetes puts variables for every Service of the namespace into a pod; a Service called `cutline-…` makes ours. */
function isServiceLink(variable: string, value: string): boolean {
  return (
    /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(variable) ||
    /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable) ||
    (variable.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value))
  );
}

export interface ConfigRow {
  readonly variable: string;
  readonly type: string;
  /** Undefined: none. */
  readonly default: string | undefined;
  readonly unit: string | undefined;
  readonly required: boolean;
  readonly doc: string;
}

/** The rows of the configuration reference, in the table's order. */
export function describeConfig(definition: ConfigDefinition): readonly ConfigRow[] {
  return Object.values(definition.table).map(({ variable, type, defaultText, unit, required, doc }) => ({
    variable,
    type,
    default: defaultText,
    unit,
    required,
    doc,
  }));
}

/** The configuration reference as one Markdown table. */
export function renderConfigTable(definition: ConfigDefinition): string {
  const rows = describeConfig(definition).map((row) => [
    `\`${row.variable}\``,
    cell(row.type),
    row.default === undefined ? (row.required ? "required" : "none") : `\`${row.default.replaceAll("|", "\\|")}\``,
    row.unit === undefined ? "" : cell(row.unit),
    cell(row.doc),
  ]);
  const header = ["variable", "type", "default", "unit", "meaning"];
  return [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

/** One line per problem, for a program that cannot start. */
export function renderConfigProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(({ variable, message }) => `${variable} ${message}\n`).join("");
}

function cell(value: string): string {
  return value.replaceAll("|", "\\|").replaceAll("\n", " ");
}
