import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetentionRules } from '../../../src/contract/retention-rules.ts';

test('rules are read from YAML and JSON', () => {
  const text = `
retention:
  - repositories: [team/*]
    keepTags: {patterns: ["v*"], mostRecent: 3, pushedWithin: 720h, pulledWithin: 1h}
`;
  const document = {
    retention: [
      {
        repositories: ['team/*'],
        keepTags: { patterns: ['v*'], mostRecent: 3, pushedWithin: '720h', pulledWithin: '1h' },
      },
    ],
  };
  for (const source of [text, JSON.stringify(document)]) {
    const [rule] = parseRetentionRules(source);
    assert.ok(rule);
    assert.deepEqual(
      ['team/app', 'team/app/deep', 'team', 'a/team/app'].map((name) => rule.repositories.test(name)),
      [true, false, false, false],
    );
    assert.deepEqual(
      ['v1', 'v1.2', 'xv1'].map((name) => rule.keepTags.patterns?.test(name)),
      [true, true, false],
    );
    const { mostRecent, pushedWithin, pulledWithin } = rule.keepTags;
    assert.deepEqual([mostRecent, pushedWithin, pulledWithin], [3, 720 * 3600_000, 3600_000]);
  }
});

for (const [text, message] of [
  ['', /^\(document\) is empty/],
  ['[]', /\(document\) must be a map/],
  ['{}', /^retention is required/],
  ['retention: [', /is not YAML/],
  ['retention: [{keepTags: {mostRecent: 1}}]', /^retention\.0\.repositories is required/],
  ['retention: [{repositories: [a], keepTags: {}}]', /^retention\.0\.keepTags is required: patterns, /],
  ['retention: [{repositories: [a], keepTags: {patterns: []}}]', /^retention\.0\.keepTags is required/],
  ['retention: [{repositories: [A], keepTags: {mostRecent: 1}}]', /has "A", which no name can match/],
  ['retention: [{repositories: [a], keepTags: {patterns: [v/1]}}]', /has "v\/1", which no name can match/],
  [
    'retention: [{repositories: [a], keepTags: {mostRecent: 0}}]',
    /^retention\.0\.keepTags\.mostRecent must be/,
  ],
  ['retention: [{repositories: [a], keepTags: {pushedWithin: 30d}}]', /pushedWithin must be a duration/],
  [
    'retention: [{repositories: [a], keepTags: {mostRecents: 3}}]',
    /mostRecents is not an option, did you mean mostRecent/,
  ],
] as const) {
  test(`rules that say ${text || 'nothing'} are refused: a mistake must not delete tags`, () => {
    assert.throws(() => parseRetentionRules(text), { message });
  });
}
