import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePlatform, ownPlatform, parsePlatform } from '../../../src/copy/platform.ts';
import { digestOf } from '../../../src/oci/digest.ts';

const [amd64, armv6, armv7, arm64] = ['amd64', 'armv6', 'armv7', 'arm64'].map((name) =>
  digestOf(Buffer.from(name)),
);
const index = Buffer.from(
  JSON.stringify({
    manifests: [
      { digest: amd64, platform: { os: 'linux', architecture: 'amd64' } },
      { digest: armv6, platform: { os: 'linux', architecture: 'arm', variant: 'v6' } },
      { digest: armv7, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
      { digest: arm64, platform: { os: 'linux', architecture: 'arm64' } },
      { digest: digestOf(Buffer.from('attestation')) },
    ],
  }),
);

test('the image of a platform is chosen, with or without a variant', () => {
  for (const [text, expected] of [
    ['linux/amd64', amd64],
    ['linux/arm', armv6],
    ['linux/arm/v7', armv7],
    ['linux/arm64', arm64],
    ['linux/arm64/v8', arm64],
  ] as const) {
    const platform = parsePlatform(text);
    assert.equal(platform && choosePlatform(index, platform, 'x'), expected);
  }
});

test('a platform that is missing names those that are there', () => {
  assert.throws(
    () => choosePlatform(index, { os: 'linux', architecture: 's390x', variant: undefined }, 'registry/app'),
    /registry\/app has no image for linux\/s390x, but for linux\/amd64, linux\/arm\/v6, linux\/arm\/v7/,
  );
});

test('platforms are written as docker does', () => {
  for (const text of ['linux', 'linux/', '/amd64', 'Linux/amd64', 'linux/arm/v7/x'])
    assert.equal(parsePlatform(text), undefined);
  assert.deepEqual(ownPlatform('x64'), parsePlatform('linux/amd64'));
  assert.deepEqual(ownPlatform('arm64'), parsePlatform('linux/arm64'));
});
