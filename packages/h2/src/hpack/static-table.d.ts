export declare const staticEntries: number;
export declare const staticNames: readonly string[];
export declare const staticValues: readonly string[];
/** The lowest index of each name. */
export declare const staticIndexOfName: ReadonlyMap<string, number>;
/** By name, then value: where the table has the value too. */
export declare const staticIndexOfField: ReadonlyMap<string, ReadonlyMap<string, number>>;
