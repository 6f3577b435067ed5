import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';

const smallest = 'version: 0.1\nstorage: {filesystem: {}}\nhttp: {addr: ":5000"}\n';

test('zero times and thresholds of an endpoint are the defaults, as in distribution', () => {
  const { config, errors } = parseConfig(`${smallest}
notifications:
  endpoints:
    - {name: a, url: "http://hook/", timeout: 0s, threshold: 0, backoff: 0}
    - {name: b, url: "http://hook/", timeout: 500ms, threshold: 3, backoff: 2s, headers: {Authorization: Bearer x}}
    - {name: c, disabled: true}
`);
  assert.deepEqual(errors, []);
  const [first, second] = config?.notifications.endpoints ?? [];
  assert.partialDeepStrictEqual(first, { timeout: 1000, threshold: 10, backoff: 1000, headers: {} });
  assert.partialDeepStrictEqual(second, {
    timeout: 500,
    threshold: 3,
    backoff: 2000,
    headers: { Authorization: ['Bearer x'] },
  });
});

test('an endpoint without a URL and a secret of nobody are errors', () => {
  const { errors } = parseConfig(`${smallest}
notifications: {endpoints: [{name: a}, {name: b, url: "ftp://hook"}]}
stevedore: {notifications: {secrets: {z: s}, outbox: here}}
`);
  assert.deepEqual(
    errors.map(({ path, message }) => `${path} ${message}`),
    [
      'notifications.endpoints.1.url must be a URL such as https://registry.example.com, not "ftp://hook"',
      'stevedore.notifications.outbox must be an absolute path, not "here"',
      'notifications.endpoints.0.url is required',
      'stevedore.notifications.secrets.z names no endpoint',
    ],
  );
});

test('the secret of an endpoint can come from the environment', () => {
  const { config } = parseConfig(
    `${smallest}notifications: {endpoints: [{name: hook, url: "http://hook/"}]}\nstevedore: {notifications: {secrets: {hook: x}}}`,
    { REGISTRY_STEVEDORE_NOTIFICATIONS_SECRETS_HOOK: 'whsec_abc' },
  );
  assert.deepEqual(config?.stevedore.notifications.secrets, { hook: 'whsec_abc' });
});
