import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verify } from '@node-rs/bcrypt';
import { createBcryptHasher } from '../../../src/operator/bcrypt-hasher.ts';
import { htpasswdFits, writeHtpasswd } from '../../../src/operator/htpasswd-file.ts';
import { accessFile, accessProblems } from '../../../src/operator/desired-access.ts';
import { passwordSecretName } from '../../../src/operator/desired-users.ts';
import { passwordIn } from '../../../src/operator/password.ts';
import { parseAccessRules } from '../../../src/contract/access-rules.ts';
import { listedUsers, mergeUsers, selectedUsers } from '../../../src/operator/user-sources.ts';
import { passwordSecret, registry, user } from './resource-builders.ts';

const PLACE = { name: 'alice', secretName: 'alice', key: 'password' };

const passwords = (entries: Readonly<Record<string, string>>) =>
  new Map(Object.entries(entries).map(([name, password]) => [name, { password: Buffer.from(password) }]));

test('hashes are bcrypt of cost 10, sorted by name, and kept while they fit', async () => {
  const hasher = createBcryptHasher();
  const first = await writeHtpasswd(passwords({ bob: 'two', alice: 'one' }), '', hasher);
  assert.match(first, /^alice:\$2[aby]\$10\$[^\n]+\nbob:\$2[aby]\$10\$[^\n]+\n$/);
  const [, hash = ''] = /^alice:(.*)$/m.exec(first) ?? [];
  assert.ok(await verify('one', hash));
  assert.ok(await htpasswdFits(passwords({ bob: 'two', alice: 'one' }), first, hasher));

  const another = createBcryptHasher();
  assert.equal(await writeHtpasswd(passwords({ alice: 'one', bob: 'two' }), first, another), first);
  const changed = await writeHtpasswd(passwords({ alice: 'one', bob: 'three' }), first, another);
  assert.equal(changed.split('\n')[0], first.split('\n')[0]);
  assert.notEqual(changed.split('\n')[1], first.split('\n')[1]);
  assert.ok(!(await htpasswdFits(passwords({ alice: 'one' }), first, another)));
});

test('a file that somebody broke is written anew', async () => {
  const text = await writeHtpasswd(
    passwords({ alice: 'one' }),
    'alice:not a hash\nrubbish\n',
    createBcryptHasher(),
  );
  assert.match(text, /^alice:\$2/);
});

const cases: readonly (readonly [name: string, content: string | undefined, found: string])[] = [
  ['a password', 'secret', 'secret'],
  ['a line break at the end', 'secret\n', 'secret'],
  ['a line break of Windows', 'secret\r\n', 'secret'],
  ['two line breaks', 'secret\n\n', 'secret\n'],
  ['72 bytes', 'x'.repeat(72), 'x'.repeat(72)],
  ['73 bytes', 'x'.repeat(73), 'PasswordUnusable'],
  ['nothing', '', 'PasswordUnusable'],
  ['a line break alone', '\n', 'PasswordUnusable'],
  ['a null byte', 'a\0b', 'PasswordUnusable'],
  ['no such key', undefined, 'KeyNotFound'],
];

for (const [name, content, expected] of cases) {
  test(`a Secret with ${name} is ${/^[A-Z]/.test(expected) ? expected : 'read'}`, () => {
    const secret = passwordSecret('alice', content === undefined ? {} : { password: content });
    const found = passwordIn(PLACE, secret);
    assert.equal('problem' in found ? found.problem.reason : found.password.toString(), expected);
    if ('problem' in found && content !== undefined && content.trim().length > 1) {
      assert.ok(!found.problem.message.includes(content), 'the message does not hold the password');
    }
  });
}

test('a Secret with bytes that are no UTF-8 is PasswordUnusable: no client can send them', () => {
  const secret = passwordSecret('alice', {});
  const found = passwordIn(PLACE, {
    ...secret,
    data: { password: Buffer.from([0xe4, 0x62]).toString('base64') },
  });
  assert.equal('problem' in found && found.problem.reason, 'PasswordUnusable');
});

const HASH = `$2y$05$${'a'.repeat(53)}`;
const file = (text: string, name = 'list') => passwordSecret(name, { htpasswd: text });

test('of a whole htpasswd file the good lines count, and the others are told by their number alone', () => {
  const text = [
    '# people',
    `ann:${HASH}`,
    'hunter2',
    'bob:$apr1$x$secrethash',
    `ann:${HASH}`,
    `slow:$2y$31$${'a'.repeat(53)}`,
    '',
  ].join('\n');
  const { credentials, problems } = listedUsers({ name: 'list', key: 'htpasswd' }, file(text));
  assert.deepEqual([...credentials], [['ann', { hash: HASH }]]);
  assert.deepEqual(
    problems.map(({ name, reason, message }) => [name, reason, message.slice(0, 40)]),
    [
      ['list', 'EntryInvalid', 'Line 3 of htpasswd in the Secret list is'],
      ['list', 'EntryInvalid', 'Line 4 of htpasswd in the Secret list ha'],
      ['list', 'DuplicateUser', 'Line 5 of htpasswd in the Secret list is'],
      ['list', 'EntryInvalid', 'Line 6 of htpasswd in the Secret list ha'],
    ],
  );
  assert.doesNotMatch(JSON.stringify(problems), /hunter2|secrethash|bob|ann/);
});

test('a Secret of users that is not there, has no label, or lacks the key is told', () => {
  const reasonOf = (...args: Parameters<typeof listedUsers>) => listedUsers(...args).problems[0]?.reason;
  assert.equal(reasonOf({ name: 'list', key: 'htpasswd' }, undefined), 'SecretNotFound');
  assert.equal(reasonOf({ name: 'list', key: 'auth' }, file('')), 'KeyNotFound');
  const unlabelled = passwordSecret('list', { htpasswd: `ann:${HASH}` }, {});
  assert.equal(reasonOf({ name: 'list', key: 'htpasswd' }, unlabelled), 'NotPermitted');
});

test('a selector finds whole files and single users', () => {
  assert.deepEqual([...selectedUsers(file(`ann:${HASH}`)).credentials.keys()], ['ann']);
  const basic = selectedUsers(passwordSecret('bob', { username: 'bob', password: 'two' }));
  assert.deepEqual([...basic.credentials], [['bob', { password: Buffer.from('two') }]]);
  for (const data of [{ password: 'two' }, { username: 'a:b', password: 'two' }]) {
    assert.equal(selectedUsers(passwordSecret('bob', data)).problems[0]?.reason, 'KeyNotFound');
  }
});

test('a user of two sources is the one of the first, and the second is told how many it lost', () => {
  const first = {
    source: 'alice',
    list: selectedUsers(passwordSecret('a', { username: 'alice', password: 'x' })),
  };
  const second = {
    source: 'list',
    list: listedUsers({ name: 'list', key: 'htpasswd' }, file(`alice:${HASH}\nbob:${HASH}`)),
  };
  const { credentials, problems } = mergeUsers([first, second]);
  assert.deepEqual([...credentials.keys()], ['alice', 'bob']);
  assert.ok('password' in (credentials.get('alice') ?? {}));
  assert.deepEqual(
    problems.map(({ name, reason }) => [name, reason]),
    [['list', 'DuplicateUser']],
  );
});

test('hashes that others made are written as they are', async () => {
  const credentials = new Map([['ann', { hash: HASH }]]);
  const hasher = createBcryptHasher();
  const written = await writeHtpasswd(credentials, '', hasher);
  assert.equal(written, `ann:${HASH}\n`);
  assert.ok(await htpasswdFits(credentials, written, hasher));
  assert.ok(!(await htpasswdFits(new Map([['ann', { hash: `${HASH.slice(0, -1)}b` }]]), written, hasher)));
});

test('each user has a Secret of its own for a generated password', () => {
  assert.equal(passwordSecretName(registry(), 'alice'), 'reg-user-alice');
  const others = ['Alice', 'alice@example.com', 'x-0123456789abcdef', 'a'.repeat(128)];
  const names = others.map((name) => passwordSecretName(registry(), name));
  for (const name of names) assert.match(name, /^reg-user-x-[0-9a-f]{16}$/);
  assert.equal(new Set(names).size, others.length);
});

test('the rules of access are what the server parses and follows', () => {
  const subject = registry({
    spec: {
      auth: {
        htpasswd: {
          users: [
            { ...user('ann'), groups: ['developers'] },
            { ...user('bob'), groups: ['developers', 'releasers'] },
          ],
        },
        anonymous: 'Pull',
        access: [
          { repositories: ['team/**'], groups: ['developers'], actions: ['Pull', 'Push'] },
          { repositories: ['**'], groups: ['nobody'], actions: ['Delete'] },
          { repositories: ['ci/*'], users: ['robot'], actions: ['Push'] },
        ],
      },
    },
  });
  const rules = parseAccessRules(accessFile(subject));
  assert.ok(rules.anonymousMayPull);
  assert.ok(rules.permits('ann', 'team/app', 'push'));
  assert.ok(!rules.permits('ann', 'other', 'push'));
  assert.ok(!rules.permits('bob', 'team/app', 'delete'));
  assert.ok(rules.permits('robot', 'ci/x', 'push'));
  assert.deepEqual(
    accessProblems(subject).map(({ name, reason }) => [name, reason]),
    [['access[1]', 'UnknownGroup']],
  );
  const open = parseAccessRules(accessFile(registry({ spec: { auth: { htpasswd: {} } } })));
  assert.ok(!open.anonymousMayPull);
  assert.ok(open.permits('ann', 'anything', 'delete'));
});
