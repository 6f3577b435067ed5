/** A step to which the playground answers otherwise than the real server did. */
export interface ExpectedDifference {
  /** The file without its ending. */
  readonly topic: string;
  /** The name of the step. */
  readonly step: string;
  readonly reason: string;
}

/** Where the playground is known to be wrong. At most fifteen; one that differs no longer has to go. */
export const expectedDifferences: readonly ExpectedDifference[] = [];
