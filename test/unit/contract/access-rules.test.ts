import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { everythingForUsers, parseAccessRules } from '../../../src/contract/access-rules.ts';

const text = `
anonymous: none
groups:
  dev: [ann, bob]
  ops: [eve]
access:
  - repositories: [team/*, shared]
    groups: [dev]
    actions: [pull, push]
  - repositories: ["team/**"]
    users: [carl]
    actions: [list]
  - repositories: ["**"]
    groups: [ops]
    users: [dan]
    actions: [pull, push, delete]
  - repositories: [public/**]
    actions: [pull]
`;

test('a rule allows its actions to its users and groups, in the repositories that its patterns match', () => {
  const rules = parseAccessRules(text);
  const cases: readonly (readonly [
    string | undefined,
    string,
    'pull' | 'push' | 'delete' | 'list',
    boolean,
  ])[] = [
    ['ann', 'team/app', 'push', true],
    ['bob', 'team/app', 'pull', true],
    ['bob', 'team/app', 'list', true],
    ['bob', 'team/app', 'delete', false],
    ['bob', 'team/app/deep', 'pull', false],
    ['bob', 'team', 'pull', false],
    ['bob', 'steam/app', 'pull', false],
    ['bob', 'shared', 'push', true],
    ['bob', 'shared/x', 'push', false],
    ['bob', 'sharedx', 'push', false],
    ['carl', 'team/app/deep', 'list', true],
    ['carl', 'team/app', 'pull', false],
    ['dan', 'any/thing', 'delete', true],
    ['eve', 'any', 'push', true],
    ['stranger', 'public/x', 'pull', true],
    ['stranger', 'public/x', 'push', false],
    ['stranger', 'team/app', 'pull', false],
    ['dev', 'team/app', 'pull', false],
    [undefined, 'public/x', 'pull', false],
  ];
  for (const [user, repository, action, expected] of cases) {
    assert.equal(rules.permits(user, repository, action), expected, `${user} ${repository} ${action}`);
  }
});

test('anonymous: pull lets everybody pull and list everything, users included', () => {
  const rules = parseAccessRules(text.replace('anonymous: none', 'anonymous: pull'));
  for (const user of [undefined, 'stranger']) {
    assert.equal(rules.permits(user, 'team/app', 'pull'), true);
    assert.equal(rules.permits(user, 'team/app', 'list'), true);
    assert.equal(rules.permits(user, 'team/app', 'push'), false);
  }
  assert.equal(rules.permits('ann', 'team/app', 'push'), true);
});

test('without rules each user may do everything, and nobody else anything', () => {
  for (const rules of [everythingForUsers, parseAccessRules('{}'), parseAccessRules('groups: {a: [b]}')]) {
    assert.equal(rules.permits('ann', 'a', 'delete'), true);
    assert.equal(rules.permits(undefined, 'a', 'pull'), false);
    assert.equal(rules.anonymousMayPull, false);
  }
});

test('every mistake is told with its path, one in a name included', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['anonymus: pull', /^anonymus is not an option, did you mean anonymous/],
    ['anonymous: push', /^anonymous must be none, pull, not "push"$/],
    [
      'access: [{repositories: [a], actions: [write]}]',
      /^access\.0\.actions\.0 must be pull, push, delete, list/,
    ],
    [
      'access: [{actions: [pull]}, {repositories: [a]}]',
      /^access\.0\.repositories is required.*; access\.1\.actions is required$/,
    ],
    [
      'access: [{repositories: [A], actions: [pull]}]',
      /^access\.0\.repositories has "A", which no name can match$/,
    ],
    [
      'access: [{repositories: [a], actions: [pull], group: [x]}]',
      /^access\.0\.group is not an option, did you mean groups/,
    ],
    [
      'access: [{repositories: [a], actions: [pull], groups: [x]}]',
      /^access\.0\.groups names "x", which groups does not have$/,
    ],
    ['', /^\(document\) is empty/],
    ['# being written', /^\(document\) is empty/],
    ['- a', /must be a map/],
    ['a: [', /is not YAML/],
  ];
  for (const [mistake, message] of cases)
    assert.throws(() => parseAccessRules(mistake), { message }, mistake);
});

test('the example of the reference page does what the page says', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/access-rules.md'), 'utf8');
  const rules = parseAccessRules(/```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '');
  assert.equal(rules.permits(undefined, 'any/thing', 'pull'), true);
  assert.equal(rules.permits('ann', 'team/app', 'push'), true);
  assert.equal(rules.permits('ann', 'team', 'push'), false);
  assert.equal(rules.permits('ci', 'team/app', 'push'), false);
  assert.equal(rules.permits('admin', 'team', 'delete'), true);
});
