/**
 * `corrupt`: bytes or a link that are not what their name says. `unreadable`: the store fails to read them. `missing`: a
 * manifest needs something that is not in its repository. `dangling`: a link or a tag that leads to nothing.
 */
type FindingKind = 'corrupt' | 'unreadable' | 'missing' | 'dangling';

/** Something that is wrong with a store. */
export interface Finding {
  readonly kind: FindingKind;
  /** What is damaged or not there. */
  readonly path: string;
  /** In words, with the names that a user knows. */
  readonly problem: string;
  /** The link of the manifest that needs it. */
  readonly neededBy?: string;
}
