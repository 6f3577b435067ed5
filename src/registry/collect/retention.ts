import type { KeepTags, RetentionRule } from '../../contract/retention-rules.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';

/** What is known of a tag; milliseconds since the epoch, by the store's clock. */
export interface TagTimes {
  readonly tag: Tag;
  readonly pushedAt: number;
  /** Undefined: not since pulls are recorded. */
  readonly pulledAt: number | undefined;
}

/** Whether a tag stays, and why. */
export interface TagVerdict {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly keep: boolean;
  /** The rule that decided, counted from 0; undefined when none is about the repository. */
  readonly rule: number | undefined;
  readonly reason: TagReason;
}

/**
 * `NoRule`: no rule is about the repository. `Young`: younger than the minimum age. `Pattern`, `MostRecent`,
 * `PushedWithin`, `PulledWithin`: this condition of the rule holds. `PullsUnknown`: pulls are not recorded for as long as
 * the rule asks, so that nobody knows. `Subject`: a signature or the like, which goes with what it belongs to.
 * `NoCondition`: nothing of that, so it goes.
 */
export type TagReason =
  | 'NoRule'
  | 'Young'
  | 'Pattern'
  | 'MostRecent'
  | 'PushedWithin'
  | 'PulledWithin'
  | 'PullsUnknown'
  | 'Subject'
  | 'NoCondition';

export interface JudgeOptions {
  readonly now: number;
  /** Milliseconds. */
  readonly minimumAge: number;
  /** Since when pulls are recorded, milliseconds since the epoch; undefined: they are not. */
  readonly pullsSince: number | undefined;
}

/** The rule that decides about a repository. */
export interface DecidingRule {
  readonly keepTags: KeepTags;
  /** Its place in the list, from 0. */
  readonly index: number;
}

/** The first rule that is about the repository. */
export function ruleFor(
  rules: readonly RetentionRule[],
  repository: RepositoryName,
): DecidingRule | undefined {
  const index = rules.findIndex((rule) => rule.repositories.test(repository));
  const rule = rules[index];
  return rule && { keepTags: rule.keepTags, index };
}

/** Why each tag stays, or `NoCondition`. Pure. */
export function judgeTags(
  keepTags: KeepTags,
  tags: readonly TagTimes[],
  options: JudgeOptions,
): ReadonlyMap<Tag, TagReason> {
  const recent = new Set(
    tags
      .toSorted((a, b) => b.pushedAt - a.pushedAt || (a.tag < b.tag ? -1 : 1))
      .slice(0, keepTags.mostRecent ?? 0)
      .map(({ tag }) => tag),
  );
  return new Map(tags.map((times) => [times.tag, reasonOf(keepTags, times, recent, options)]));
}

function reasonOf(
  { patterns, pushedWithin, pulledWithin }: KeepTags,
  { tag, pushedAt, pulledAt }: TagTimes,
  recent: ReadonlySet<Tag>,
  { now, minimumAge, pullsSince }: JudgeOptions,
): TagReason {
  if (now - pushedAt < minimumAge) return 'Young';
  if (patterns?.test(tag)) return 'Pattern';
  if (recent.has(tag)) return 'MostRecent';
  if (pushedWithin !== undefined && now - pushedAt <= pushedWithin) return 'PushedWithin';
  if (pulledWithin !== undefined) {
    // A push is a use as well: what was pushed a minute ago has had no time to be pulled.
    if (now - Math.max(pushedAt, pulledAt ?? 0) <= pulledWithin) return 'PulledWithin';
    if (pullsSince === undefined || now - pullsSince < pulledWithin) return 'PullsUnknown';
  }
  return 'NoCondition';
}
