import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realmObjection } from '../../../../src/mirror/upstream/realm-objection.ts';

const plain = /plain HTTP/;
const inner = /inner/;
const foreign = /realmhosts/;

test('credentials go to token servers of the upstream alone', () => {
  const cases: readonly (readonly [
    upstream: string,
    realm: string,
    objection?: RegExp | undefined,
    ...hosts: string[],
  ])[] = [
    ['https://registry-1.docker.io', 'https://auth.docker.io/token'],
    ['https://ghcr.io', 'https://ghcr.io/token'],
    ['https://registry.example.com:5000', 'https://registry.example.com/token'],
    ['https://registry.example.co.uk', 'https://evil.co.uk/token', foreign],
    ['https://a.github.io', 'https://b.github.io/token', foreign],
    ['https://ghcr.io', 'https://ghcr.io.evil.com/token', foreign],
    ['https://ghcr.io', 'https://evil.com/ghcr.io', foreign],
    ['https://ghcr.io', 'https://ghcr.io@evil.com/token', foreign],
    ['https://registry.internal', 'https://auth.internal/token', foreign],
    ['https://registry.internal', 'https://auth.internal/token', undefined, 'auth.internal'],
    ['https://registry.internal', 'https://auth.internal:8443/token', undefined, 'auth.internal:8443'],
    ['https://registry.internal', 'https://auth.internal:8443/token', foreign, 'auth.internal:443'],
    ['https://registry.internal', 'https://registry.internal/token'],
    ['https://registry.example.com', 'http://registry.example.com/token', plain],
    ['http://registry.example.com', 'http://auth.example.com/token'],
    ['http://registry.example.com', 'https://auth.example.com/token'],
    ['https://registry.example.com', 'ftp://registry.example.com/token', /not HTTP/],
    ['https://192.0.2.1', 'https://192.0.2.1/token'],
    ['https://192.0.2.1', 'https://192.0.2.2/token', foreign],
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/token', inner],
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/token', undefined, '127.0.0.1:5001'],
  ];
  for (const [upstream, realm, objection, ...hosts] of cases) {
    const reason = realmObjection(new URL(upstream), hosts, new URL(realm), true);
    if (objection === undefined) assert.equal(reason, undefined, `${upstream} ${realm}`);
    else assert.match(reason ?? 'none', objection, `${upstream} ${realm}`);
  }
});

test('nobody is sent to an inner address, not even without credentials', () => {
  const upstream = new URL('https://registry.example.com');
  const addresses = [
    'localhost',
    'a.localhost',
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.1',
    '0x7f000001',
    '169.254.169.254',
    '172.31.0.1',
    '192.168.1.1',
    '[::]',
    '[::1]',
    '[fd00::1]',
    '[fe80::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:10.0.0.1]',
  ];
  for (const host of addresses) {
    assert.match(
      realmObjection(upstream, [], new URL(`https://${host}/token`), false) ?? 'none',
      inner,
      host,
    );
  }
  for (const host of ['elsewhere.com', '192.0.2.1', '172.32.0.1', '[2001:db8::1]']) {
    assert.equal(realmObjection(upstream, [], new URL(`http://${host}/token`), false), undefined, host);
  }
});
