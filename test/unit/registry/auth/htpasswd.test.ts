import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { hashSync } from '@node-rs/bcrypt';
import { openPasswordFile, type PasswordFile } from '../../../../src/registry/auth/htpasswd.ts';
import { parseBasicCredentials } from '../../../../src/registry/auth/basic-credentials.ts';
import { parseHtpasswd } from '../../../../src/registry/auth/htpasswd-file.ts';
import { logSink } from '../../../support/log-sink.ts';
import { TestClock } from '../../../support/test-clock.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'htpasswd-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function entry(user: string, password: string, version = '2b'): string {
  return `${user}:${hashSync(password, 4).replace(/^\$2b/, `$${version}`)}`;
}

function authenticator(path: string, clock = new TestClock()): PasswordFile {
  return openPasswordFile({
    path,
    secret: Buffer.alloc(32),
    clock,
    log: logSink().log,
  });
}

test('the three spellings of bcrypt are the same', async (t) => {
  const path = join(folder(t), 'htpasswd');
  writeFileSync(
    path,
    ['2a', '2b', '2y'].map((version) => entry(`u${version}`, 'secret', version)).join('\n'),
  );
  const auth = authenticator(path);
  for (const user of ['u2a', 'u2b', 'u2y']) {
    assert.equal(await auth.verify(user, 'secret'), true, user);
    assert.equal(await auth.verify(user, 'wrong'), false, user);
  }
  assert.equal(await auth.verify('nobody', 'secret'), false);
});

test('corrupt lines are named by number and reason, without their content, and the others work', async (t) => {
  const path = join(folder(t), 'htpasswd');
  writeFileSync(
    path,
    ['# team', entry('a', 'pa'), 'b:{SHA}abc', 'c', '', 'd:$2y$05$short', entry('e', 'pe') + '\r', ':x'].join(
      '\n',
    ),
  );
  const auth = authenticator(path);
  const { count, errors } = auth.status();
  assert.equal(count, 2);
  assert.deepEqual(
    errors.map((error) => error.line),
    [3, 4, 6, 8],
  );
  assert.match(errors[0]?.reason ?? '', /not bcrypt/);
  assert.match(errors[1]?.reason ?? '', /user:hash/);
  assert.match(errors[2]?.reason ?? '', /damaged/);
  assert.doesNotMatch(JSON.stringify(errors), /SHA|short/);
  assert.equal(await auth.verify('a', 'pa'), true);
  assert.equal(await auth.verify('e', 'pe'), true);
});

test('a user who was added, changed or removed is known to the next request', async (t) => {
  const path = join(folder(t), 'htpasswd');
  writeFileSync(path, entry('a', 'one'));
  const auth = authenticator(path);
  assert.equal(await auth.verify('a', 'one'), true);
  assert.equal(await auth.verify('b', 'two'), false);
  writeFileSync(path, `${entry('a', 'one')}\n${entry('b', 'two')}\n`);
  assert.equal(await auth.verify('b', 'two'), true);
  writeFileSync(path, entry('a', 'other'));
  assert.equal(await auth.verify('a', 'one'), false);
  assert.equal(await auth.verify('a', 'other'), true);
  assert.equal(await auth.verify('b', 'two'), false);
});

test('a change in the same instant and of the same size is seen', async (t) => {
  const path = join(folder(t), 'htpasswd');
  const now = Date.now();
  const clock = new TestClock(now);
  const write = (password: string): void => {
    writeFileSync(path, entry('a', password));
    utimesSync(path, now / 1000, now / 1000);
  };
  write('one');
  const auth = authenticator(path, clock);
  write('two');
  assert.equal(await auth.verify('a', 'two'), true);
});

test('the swap of a Secret volume is followed', async (t) => {
  const root = folder(t);
  const write = (version: string, text: string): void => {
    mkdirSync(join(root, version));
    writeFileSync(join(root, version, 'htpasswd'), text);
    symlinkSync(version, join(root, '..data_tmp'));
    renameSync(join(root, '..data_tmp'), join(root, '..data'));
  };
  write('..1', entry('a', 'one'));
  symlinkSync('..data/htpasswd', join(root, 'htpasswd'));
  const auth = authenticator(join(root, 'htpasswd'));
  assert.equal(await auth.verify('a', 'one'), true);
  write('..2', entry('a', 'two'));
  assert.equal(await auth.verify('a', 'two'), true);
});

test('a file that is gone leaves the last entries and is told in the status', async (t) => {
  const path = join(folder(t), 'htpasswd');
  writeFileSync(path, entry('a', 'one'));
  const auth = authenticator(path);
  rmSync(path);
  assert.equal(await auth.verify('a', 'one'), true);
  assert.deepEqual(auth.status().errors, [{ line: 0, reason: 'the file cannot be read: ENOENT' }]);
  writeFileSync(path, entry('a', 'two'));
  assert.deepEqual(auth.status().errors, []);
  assert.equal(await auth.verify('a', 'one'), false);
});

test('a missing file at the start is an error', (t) => {
  assert.throws(() => authenticator(join(folder(t), 'none')), { code: 'ENOENT' });
});

test('an unknown user pays the cost of the file', () => {
  assert.equal(parseHtpasswd(`a:${hashSync('x', 6)}\nb:${hashSync('x', 4)}`).cost, 6);
  assert.equal(parseHtpasswd('').cost, 5);
});

test('basic credentials are user and password around the first colon', () => {
  const encode = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  assert.deepEqual(parseBasicCredentials(encode('u:p:q')), { user: 'u', password: 'p:q' });
  assert.deepEqual(parseBasicCredentials(encode('ü:ß').replace('Basic', 'basic')), {
    user: 'ü',
    password: 'ß',
  });
  assert.equal(parseBasicCredentials(encode(':')), 'nobody');
  for (const bad of [undefined, '', 'Bearer x', 'Basic', 'Basic !!', encode('nocolon'), encode(':p')]) {
    assert.equal(parseBasicCredentials(bad), undefined, bad ?? 'no header');
  }
});
