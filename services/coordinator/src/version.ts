/** Of the coordinator, as injected pods name it. */
export const version = "0.1.0";
