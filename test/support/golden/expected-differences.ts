/** A step to which the playground answers otherwise than the real server did. */
export interface ExpectedDifference {
  /** The file without its ending. */
  readonly topic: string;
  /** The name of the step. */
  readonly step: string;
  readonly reason: string;
}

/** Where the playground is known to be wrong. At most fifteen; one that differs no longer has to go. */
export const expectedDifferences: readonly ExpectedDifference[] = [
  {
    topic: 'kubectl',
    step: 'review',
    reason: 'An access review has managedFields, though it is never stored; nobody looks for them there.',
  },
  {
    topic: 'merge-patch',
    step: 'otherVersion',
    reason:
      'A patch to a version that is not served is refused with a warning of fields unknown to it; ours ignores it.',
  },
  {
    topic: 'status-and-scale',
    step: 'zero',
    reason:
      'The Scale of a Deployment leaves zero replicas out, so that nobody owns them; ours remembers the owner.',
  },
];
