/** The numbers that bound discovery. Lists and watches have those of the controller. */
export interface DiscoveryLimits {
  /** Changes of so long are one change of the directory. Default 100 ms. */
  readonly debounceMs: number;
  /**
   * How long the directory is kept back for the first lists. After that it goes out with what agents say alone. Default
   * 15000 ms.
   */
  readonly firstPictureMsMax: number;
  /** Authorities of one process that come from Services; those beyond are left out, and counted. Default 512. */
  readonly authoritiesMax: number;
}

export const defaultDiscoveryLimits: DiscoveryLimits = {
  debounceMs: 100,
  firstPictureMsMax: 15_000,
  authoritiesMax: 512,
};
