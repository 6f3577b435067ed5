import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseConfig } from '../../../src/contract/config/config.ts';
import { runProgram } from '../../support/run-program.ts';

function configFile(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'check-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config.yml');
  writeFileSync(file, text);
  return file;
}

const typo = `
version: 0.1
log: {fromatter: json, hooks: [{type: mail}]}
storage: {filesystem: {}}
http: {addr: ":0"}
`;

const withSecrets = `
version: 0.1
storage: {filesystem: {}}
http: {addr: ":5000", draintimeout: 90s}
redis: {addr: "localhost:1", password: hunter2}
`;

test('a configuration in which nothing is wrong is printed as it is in force, without secrets', async (t) => {
  const { code, stdout, stderr } = await runProgram(['check', configFile(t, withSecrets)], {
    environment: { REGISTRY_LOG_LEVEL: 'debug', REGISTRY_REDIS_SENTINELPASSWORD: 'hunter2' },
  });
  assert.deepEqual([code, stderr], [0, '']);
  assert.doesNotMatch(stdout, /hunter2/);
  assert.match(stdout, /^# Garbage collection: Deletes are renames into a trash/);
  // What is printed is a configuration again, and means the same.
  const printed = parseConfig(stdout).config;
  const written = parseConfig(withSecrets, { REGISTRY_LOG_LEVEL: 'debug' }).config;
  assert.deepEqual({ ...printed, redis: undefined }, { ...written, redis: undefined });
});

test('what docker distribution ignores is an error, and what has no effect is a note', async (t) => {
  const file = configFile(t, typo);
  const { code, stdout, stderr } = await runProgram(['check', file]);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  const [error, note] = stderr.split('\n');
  assert.equal(error, `${file}: log.fromatter is not an option and is ignored, did you mean formatter?`);
  assert.match(note ?? '', /config\.yml: note: log\.hooks has no effect: no mail is sent/);
});

test('files that cannot be read are errors', async (t) => {
  const file = configFile(
    t,
    '{version: 0.1, storage: filesystem, http: {addr: ":1", tls: {certificate: /no/c, key: /no/k}}}',
  );
  const { code, stderr } = await runProgram(['check', file]);
  assert.equal(code, 2);
  assert.match(stderr, /http\.tls\.certificate names \/no\/c, which cannot be read: ENOENT/);
});

test('with --format json problems and configuration are one document', async (t) => {
  const good = await runProgram(['check', '--format', 'json', configFile(t, withSecrets)]);
  assert.equal(good.code, 0);
  assert.doesNotMatch(good.stdout, /hunter2/);
  assert.partialDeepStrictEqual(JSON.parse(good.stdout), {
    errors: [],
    notices: [],
    config: { http: { draintimeout: '1m30s' }, redis: { password: '(hidden)' } },
  });
  const bad = await runProgram(['check', '--format', 'json', configFile(t, typo)]);
  assert.equal(bad.code, 2);
  assert.partialDeepStrictEqual(JSON.parse(bad.stdout), {
    errors: [{ path: 'log.fromatter' }],
    notices: [{ path: 'log.hooks' }],
  });
});

test('serve starts with a typo, and says so; with --strict it does not start', async (t) => {
  const file = configFile(t, typo.replace('":0"', 'nowhere'));
  // A second mistake ends both, before anything starts.
  const plain = await runProgram(['serve', file]);
  assert.match(plain.stderr, /: http\.addr must be host:port/);
  assert.match(plain.stderr, /: warning: log\.fromatter is not an option/);
  assert.match(plain.stderr, /: note: log\.hooks has no effect/);
  const strict = await runProgram(['serve', '--strict', configFile(t, typo)]);
  assert.equal(strict.code, 2);
  assert.match(strict.stderr, /config\.yml: log\.fromatter is not an option/);
});

test('a collection logs as the configuration says, and tells of typos', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'check-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = configFile(
    t,
    `{version: 0.1, log: {fields: {a: b}, x: 1}, storage: {filesystem: {rootdirectory: ${folder}}}, http: {addr: ":1"}}`,
  );
  const { code, stderr } = await runProgram(['garbage-collect', '--offline', file]);
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /^time=\S+ level=warn msg=configuration a=b command=garbage-collect path=log\.x problem=/,
  );
});

test('wrong access rules are errors, with the place in their file', async (t) => {
  const rules = configFile(t, 'access: [{repository: [a], actions: [pull]}]');
  const text = `{version: 0.1, storage: filesystem, http: {addr: ":1"}, stevedore: {auth: {access: ${rules}}}}`;
  const file = configFile(t, text);
  const { code, stderr } = await runProgram(['check', file]);
  assert.equal(code, 2);
  assert.equal(
    stderr,
    `${file}: stevedore.auth.access names ${rules}: access.0.repository is not an option, did you mean repositories?\n`,
  );
});
