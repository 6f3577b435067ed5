import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { digestOf } from '../../../../src/oci/digest.ts';
import { parseManifest, type Descriptor, type Manifest } from '../../../../src/oci/manifest.ts';
import { createManifestRules, type ManifestRules } from '../../../../src/registry/storage/manifest-rules.ts';
import { imageIndex, imageManifest } from '../../../support/store-fixture.ts';

function rulesOf(sections: string): ManifestRules {
  const { config, errors } = parseConfig(
    `{version: 0.1, storage: filesystem, http: {addr: ":0"}, ${sections}}`,
  );
  assert.deepEqual(errors, []);
  assert.ok(config);
  return createManifestRules(config);
}

const digest = digestOf(Buffer.from('x'));

function withUrls(...urls: readonly string[]): Manifest {
  const layer = { digest, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar', urls };
  return parseManifest(imageManifest({ digest }, [layer]), undefined);
}

function allows(rules: ManifestRules, manifest: Manifest): boolean {
  try {
    rules.assertAllowed(manifest);
    return true;
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error);
    assert.ok(error.code === 'MANIFEST_INVALID' || error.code === 'DENIED');
    return false;
  }
}

test('without lists no URL is taken, and layers without one always are', () => {
  assert.ok(!allows(rulesOf(''), withUrls('https://example.com/layer')));
  assert.ok(allows(rulesOf(''), withUrls()));
});

test('URLs are taken that match allow, and deny wins', () => {
  const both = rulesOf(
    String.raw`validation: {manifests: {urls: {allow: ['^https?://([^/]+\.)*example\.com/', ^https://b/], deny: ['^https?://www\.example\.com/']}}}`,
  );
  for (const [url, taken] of [
    ['https://example.com/layer', true],
    ['http://a.b.example.com/layer', true],
    ['https://b/layer', true],
    ['https://www.example.com/layer', false],
    ['https://example.org/layer', false],
    ['https://evil.org/example.com/', false],
  ] as const) {
    assert.equal(allows(both, withUrls(url)), taken, url);
  }
  assert.ok(!allows(both, withUrls('https://example.com/a', 'https://example.org/b')), 'all of them');
  const denyAlone = rulesOf('validation: {manifests: {urls: {deny: [evil]}}}');
  assert.ok(allows(denyAlone, withUrls('https://good.org/')));
  assert.ok(!allows(denyAlone, withUrls('https://evil.org/')));
});

test('what is no URL of the web is never taken, whatever is allowed', () => {
  const any = rulesOf("validation: {manifests: {urls: {allow: ['.*']}}}");
  for (const url of ['ftp://a/b', 'file:///etc/passwd', 'https://a/b#c', 'no url', '']) {
    assert.ok(!allows(any, withUrls(url)), url);
  }
});

test('a URL that a backtracking expression would never finish with is judged at once', () => {
  const rules = rulesOf(
    String.raw`validation: {manifests: {urls: {allow: ['^https?://([^/]+\.)*example\.com/']}}}`,
  );
  assert.ok(!allows(rules, withUrls(`https://${'a.'.repeat(10_000)}x`)));
});

test('with validation disabled any URL of the web is taken, and enabled wins', () => {
  assert.ok(allows(rulesOf('validation: {disabled: true}'), withUrls('https://example.com/layer')));
  assert.ok(!allows(rulesOf('validation: {disabled: true}'), withUrls('ftp://example.com/layer')));
  const both = rulesOf('validation: {disabled: true, enabled: true}');
  assert.ok(!allows(both, withUrls('https://example.com/layer')));
  assert.ok(both.mustExist(child('linux', 'amd64')));
});

function child(os: string, architecture: string): Descriptor {
  return { mediaType: 'a/b', digest, size: 1, platform: { os, architecture } };
}

test('which manifests of an index must be there is configured by platform', () => {
  const platforms = (text: string): ManifestRules => rulesOf(`validation: {manifests: {indexes: {${text}}}}`);
  const [amd, arm] = [child('linux', 'amd64'), child('linux', 'arm64')];
  const unknown: Descriptor = { mediaType: 'a/b', digest, size: 1 };
  for (const [rules, expected] of [
    [rulesOf(''), [true, true, true]],
    [platforms('platforms: all'), [true, true, true]],
    [platforms('platforms: None'), [false, false, false]],
    [rulesOf('validation: {disabled: true}'), [false, false, false]],
    [platforms('platforms: List'), [true, true, true]],
    [platforms('platforms: list, platformlist: [{architecture: amd64, os: linux}]'), [true, false, false]],
    [platforms('platformlist: [{architecture: amd64, os: linux}]'), [true, true, true]],
  ] as const) {
    assert.deepEqual(
      [amd, arm, unknown].map((one) => rules.mustExist(one)),
      expected,
    );
  }
});

test('only classes of images that are listed are taken, by the type of their config', () => {
  const image = (mediaType: string): Manifest =>
    parseManifest(imageManifest({ digest, mediaType }), undefined);
  const ociImage = image('application/vnd.oci.image.config.v1+json');
  const plugin = image('application/vnd.docker.plugin.v1+json');
  const chart = image('application/vnd.cncf.helm.config.v1+json');
  const index = parseManifest(imageIndex([{ digest }]), undefined);
  for (const [classes, expected] of [
    ['[]', [true, true, true, true]],
    ['[image]', [true, false, false, true]],
    ['[plugin]', [false, true, false, true]],
    ['[image, plugin]', [true, true, false, true]],
  ] as const) {
    const rules = rulesOf(`policy: {repository: {classes: ${classes}}}`);
    assert.deepEqual(
      [ociImage, plugin, chart, index].map((manifest) => allows(rules, manifest)),
      expected,
      classes,
    );
  }
});

test('an expression that Go does not know is an error of the configuration', () => {
  const { errors } = parseConfig(
    '{version: 0.1, storage: filesystem, http: {addr: ":0"}, validation: {manifests: {urls: {allow: ["("]}}}}',
  );
  assert.deepEqual(errors, [
    {
      path: 'validation.manifests.urls.allow.0',
      message: 'must be a regular expression in Go\'s syntax, not "("',
    },
  ]);
});
