import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';

function problems(middleware: object): string[] {
  const { errors, warnings } = parseConfig(
    JSON.stringify({ version: '0.1', storage: { filesystem: {} }, http: { addr: ':0' }, middleware }),
  );
  return [...errors, ...warnings].map(({ path, message }) => `${path} ${message}`);
}

test('plug-ins that are not here are errors, as in distribution, unless they are disabled', () => {
  const nobody = { name: 'nobody' };
  assert.deepEqual(
    problems({
      registry: [nobody, { ...nobody, disabled: true, options: { a: 'b' } }],
      repository: [nobody, { ...nobody, disabled: true }],
      storage: [nobody],
    }),
    [
      'middleware.storage.0.name must be redirect, rewrite, cloudfront, alicdn, not "nobody"',
      'middleware.registry.0.name names a plug-in that is not here: nobody',
      'middleware.repository.0.name names a plug-in that is not here: nobody',
    ],
  );
});

test('each storage middleware says what it needs, and what it does not know', () => {
  assert.deepEqual(
    problems({
      storage: [
        { name: 'redirect' },
        { name: 'redirect', options: { baseurl: 'cdn.example.com' } },
        { name: 'cloudfront', options: { baseurl: 'cdn', ipfilteredby: 'awsregion' } },
        { name: 'alicdn', options: { baseurl: 'cdn', authtype: 'd' } },
        { name: 'rewrite', options: { baseurl: 'x' } },
        { name: 'redirect', disabled: true },
      ],
    }),
    [
      'middleware.storage.3.options.authtype must be a, b, c, not "d"',
      'middleware.storage.0.options.baseurl is required by redirect',
      'middleware.storage.1.options.baseurl must have a scheme and a host, as in https://cdn.example.com',
      'middleware.storage.2.options.privatekey is required by cloudfront',
      'middleware.storage.2.options.keypairid is required by cloudfront',
      'middleware.storage.2.options.awsregion is required with ipfilteredby: awsregion',
      'middleware.storage.3.options.privatekey is required by alicdn',
      'middleware.storage.4.options.baseurl is no option of rewrite and is ignored',
    ],
  );
});
