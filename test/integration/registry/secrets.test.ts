import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { startTestRegistry } from '../../support/test-registry.ts';
import { writeUsers } from '../../support/serve-process.ts';
import { waitFor } from '../../support/wait-for.ts';

/** A part of every credential below, wherever one can be: it must be nowhere else. */
const SECRET = 'hunter2';

/** Nobody listens there, so that what carries a credential fails and is logged. */
const DEAD = '127.0.0.1:1';

const credentials = {
  REGISTRY_LOG_LEVEL: 'debug',
  REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:0',
  REGISTRY_HTTP_SECRET: SECRET,
  REGISTRY_AUTH_HTPASSWD_REALM: 'test',
  REGISTRY_AUTH_HTPASSWD_PATH: '{folder}/htpasswd',
  REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'redis',
  REGISTRY_REDIS: `{addr: "${DEAD}", username: u, password: ${SECRET}, sentinelpassword: ${SECRET}}`,
  REGISTRY_HEALTH_HTTP: `[{uri: "http://ann:${SECRET}@${DEAD}/", headers: {Authorization: ["Bearer ${SECRET}"]}, interval: 5ms}]`,
  REGISTRY_NOTIFICATIONS_ENDPOINTS: `[{name: hook, url: "http://ann:${SECRET}@${DEAD}/", headers: {Authorization: ["Bearer ${SECRET}"]}}]`,
  REGISTRY_STEVEDORE_NOTIFICATIONS_SECRETS: `{hook: ${SECRET.repeat(5)}}`,
} as const;

test('no credential is in a log, a status page, a metric or an answer', async (t) => {
  const { url, statusUrl, server, records } = await startTestRegistry(t, credentials, (folder) =>
    writeUsers(folder, { ann: SECRET }),
  );
  const answers: string[] = [];
  const ask = async (
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<void> => {
    const answer = await request(`${url}${path}`, {
      headers,
      method: body ? 'PUT' : 'GET',
      body: body ?? null,
    });
    answers.push(`${JSON.stringify(answer.headers)} ${await answer.body.text()}`);
  };
  for (const authorization of [
    `Basic ${btoa(`ann:${SECRET}`)}`,
    `Basic ${btoa(`ann:${SECRET}-wrong`)}`,
    `Basic ${btoa(`${SECRET}:unknown user`)}`,
    `Basic ${SECRET}`,
    `Bearer ${SECRET}`,
    SECRET,
  ]) {
    await ask('/v2/', { authorization });
    await ask('/v2/a/tags/list', { authorization, cookie: `session=${SECRET}` });
    await ask('/v2/a/manifests/latest', { authorization }, '{"not": "a manifest"}');
  }
  await waitFor(() => records.some(({ message }) => message === 'a health check fails'));
  await waitFor(() => records.filter(({ message }) => message === 'request').length === answers.length);
  for (const page of [
    `${statusUrl}/status`,
    `${statusUrl}/metrics`,
    `http://${server.debugAddress}/debug/health`,
  ]) {
    answers.push(await (await request(page)).body.text());
  }
  await server.stop();
  const found = [...records.map((record) => JSON.stringify(record)), ...answers].filter((text) =>
    [SECRET, btoa(`ann:${SECRET}`)].some((secret) => text.includes(secret)),
  );
  assert.deepEqual(found, []);
});
