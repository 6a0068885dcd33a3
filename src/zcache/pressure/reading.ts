/**
 * What is known about memory at one moment. A *scope* is one bound that our pages count against: the machine, the
 * process's control group, and each group above that one. The tightest decides.
 */

export interface ScopeMemory {
  /** What the scope may use at most. */
  readonly sizeBytes: number;
  /** What it can still take without killing or swapping anything: free, or in files' clean cache pages. */
  readonly availableBytes: number;
}

/** Pressure stall information: how long some task of the scope stood still for want of memory. */
export interface Stall {
  /** Share of the last ten seconds, 0 to 100. */
  readonly some10Percent: number;
  /** Since the scope exists. */
  readonly totalUs: number;
}

/** One scope. What is missing could not be read, or the kernel does not have it. */
export interface ScopeReading {
  /** 'machine', or 'cgroup:' and the group's path. */
  readonly name: string;
  readonly memory?: ScopeMemory;
  readonly stall?: Stall;
  /** Times that the scope's limit made the kernel look for something to kill. Only grows. */
  readonly ooms?: number;
}

/** What the shrinker looks at. Never throws. */
export interface PressureSources {
  read(): readonly ScopeReading[];
}
