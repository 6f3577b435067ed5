/**
 * Why a garbage collection on each kind of storage cannot destroy what somebody still needs, or what has to be true for
 * that (docs/decisions/0003-read-only-lease.md). By the driver's name in the configuration.
 */
export function collectionAssumption(kind: string): string {
  return assumptions[kind] ?? UNFENCED;
}

/** What is left where a store can neither rename at once nor refuse a delete that is late. */
const UNFENCED =
  'assumes that no delete is held up on its way for longer than 15 s, and that nothing but Stevedore writes there.';

const assumptions: Readonly<Record<string, string>> = {
  filesystem:
    'assumes that nothing but Stevedore writes there. Deletes are renames into a trash, so one that is late destroys nothing.',
};
