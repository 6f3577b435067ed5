import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';
import { writeUsers } from '../../support/serve-process.ts';
import { waitFor } from '../../support/wait-for.ts';

const text = { REGISTRY_LOG_FORMATTER: 'text' };

const users = {
  REGISTRY_AUTH_HTPASSWD_REALM: 'test',
  REGISTRY_AUTH_HTPASSWD_PATH: '{folder}/htpasswd',
};

const start = (t: TestContext, overrides: Readonly<Record<string, string>>): Promise<TestRegistry> =>
  startTestRegistry(t, { ...users, ...overrides }, (folder) => writeUsers(folder, { ann: 'secret' }));

async function ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  await (await request(url, { headers })).body.dump();
}

const ann = { authorization: `Basic ${btoa('ann:secret')}` };

test('with text there is a line of the combined format for each request', async (t) => {
  const { url, accessLines, records } = await start(t, text);
  await ask(`${url}/v2/`, { ...ann, 'user-agent': 'docker/29 "x"', referer: 'http://a/\u00e9\\' });
  await ask(`${url}/v2/a/tags/list?n=1`);
  await waitFor(() => accessLines.length === 2);
  const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]`;
  assert.match(
    accessLines[0] ?? '',
    new RegExp(
      `^127\\.0\\.0\\.1 - ann ${time} "GET /v2/ HTTP/1\\.1" 200 2 ` +
        String.raw`"http://a/\\u00e9\\\\" "docker/29 \\"x\\""$`,
    ),
  );
  assert.match(
    accessLines[1] ?? '',
    new RegExp(`^127\\.0\\.0\\.1 - - ${time} "GET /v2/a/tags/list\\?n=1 HTTP/1\\.1" 401 \\d+ "" ""$`),
  );
  assert.ok(!records.some(({ message }) => message === 'request'));
});

test('with json a request is one record among the others', async (t) => {
  const { url, accessLines, records } = await start(t, {});
  await ask(`${url}/v2/?a=b`, { ...ann, 'user-agent': 'docker' });
  await waitFor(() => records.some(({ message }) => message === 'request'));
  const record = records.find(({ message }) => message === 'request');
  assert.ok(record);
  const { time, requestId, milliseconds, ...rest } = record;
  assert.match(`${String(time)} ${String(requestId)} ${String(milliseconds)}`, /Z [0-9a-f-]{36} [\d.]+$/);
  assert.deepEqual(rest, {
    level: 'info',
    method: 'GET',
    url: '/v2/?a=b',
    status: 200,
    bytes: 2,
    remote: '127.0.0.1',
    user: 'ann',
    userAgent: 'docker',
    message: 'request',
  });
  assert.deepEqual(accessLines, []);
});

test('it is there whatever the level of the log, and is turned off by its own option', async (t) => {
  const quiet = await start(t, { ...text, REGISTRY_LOG_LEVEL: 'error' });
  await ask(`${quiet.url}/v2/`);
  await waitFor(() => quiet.accessLines.length === 1);
  for (const formatter of [text, {}]) {
    const off = await start(t, { ...formatter, REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' });
    await ask(`${off.url}/v2/`);
    await off.server.stop();
    assert.deepEqual(off.accessLines, []);
    assert.ok(!off.records.some(({ message }) => message === 'request'));
  }
});
