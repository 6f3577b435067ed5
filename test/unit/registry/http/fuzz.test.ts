import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ManifestError, parseManifest } from '../../../../src/oci/manifest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import { parseAccessRules } from '../../../../src/contract/access-rules.ts';
import { parseBasicCredentials } from '../../../../src/registry/auth/basic-credentials.ts';
import { readToken, TokenError } from '../../../../src/registry/auth/token/json-web-token.ts';
import { parseContentRange, parseRange } from '../../../../src/registry/http/byte-range.ts';
import { writeCondition } from '../../../../src/registry/http/conditions.ts';
import { parseRoute, type Route } from '../../../../src/registry/http/route.ts';
import { RegistryError } from '../../../../src/registry/errors.ts';
import { assertStorePath } from '../../../../src/registry/storage/driver.ts';
import {
  blobDataPath,
  layerLinkPath,
  repositoryFolder,
  revisionLinkPath,
  tagCurrentLinkPath,
  uploadFolder,
} from '../../../../src/registry/storage/paths.ts';
import { parseDigest } from '../../../../src/oci/digest.ts';
import { parseTag } from '../../../../src/oci/tag.ts';

/** Pieces that names, references and tricks are made of. */
const piece = fc.oneof(
  fc.constantFrom(
    'a',
    'lib',
    'A',
    '.',
    '..',
    '_',
    '__',
    '-',
    '%2e',
    '%2f',
    '%00',
    '%',
    '\\',
    ' ',
    'ä',
    ':',
    '@',
    '',
    '_layers',
  ),
  fc.constantFrom('manifests', 'blobs', 'uploads', 'tags', 'list', 'referrers', '_catalog', 'latest'),
  fc.constantFrom(
    `sha256:${'a'.repeat(64)}`,
    `sha512:${'b'.repeat(128)}`,
    `sha256:${'a'.repeat(63)}`,
    'md5:x',
  ),
  fc.constant('0198c0de-0000-8000-8000-000000000000'),
  fc.string({ maxLength: 5, unit: 'binary' }),
);
const path = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('/'));

/** The value, or the error that it was refused with. */
function attempt<T>(action: () => T): T | Error {
  try {
    return action();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
}

function storePaths(route: Route): readonly string[] {
  if (!('repository' in route)) return [];
  const { repository } = route;
  const paths = [repositoryFolder(repository)];
  if (route.kind === 'upload') paths.push(uploadFolder(repository, route.id));
  if (route.kind === 'blob') paths.push(layerLinkPath(repository, route.digest));
  if (route.kind === 'manifest') {
    const digest = parseDigest(route.reference);
    const tag = parseTag(route.reference);
    assert.ok((digest === undefined) !== (tag === undefined), 'a reference is a digest or a tag');
    if (digest !== undefined) paths.push(revisionLinkPath(repository, digest), blobDataPath(digest));
    if (tag !== undefined) paths.push(tagCurrentLinkPath(repository, tag));
  }
  return paths;
}

test('no path leads out of the store, and one that is refused is refused with an error of the API', () => {
  fc.assert(
    fc.property(path, (text) => {
      const route = attempt(() => parseRoute(text));
      if (route instanceof Error) return assert.ok(route instanceof RegistryError, String(route));
      for (const place of route === undefined ? [] : storePaths(route)) {
        assertStorePath(place);
        assert.match(place, /^\/docker\/registry\/v2\/(?:repositories|blobs)\//);
        assert.doesNotMatch(place, /\.\.|\/\/|\0|%/);
      }
    }),
    { numRuns: 3000 },
  );
});

const header = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 70n }), fc.bigInt({ min: 0n, max: 2n ** 70n }))
    .map(([a, b]) => `bytes=${a}-${b}`),
  fc.tuple(fc.nat(300), fc.nat(300)).map(([a, b]) => `bytes=${a}-${b}`),
  fc.nat(300).map((n) => `bytes=-${n}`),
  fc.nat(300).map((n) => `bytes=${n}-`),
);

test('a range that is given lies in the content', () => {
  fc.assert(
    fc.property(header, fc.nat(200), (text, size) => {
      const range = parseRange(text, size);
      if (typeof range === 'string') return;
      assert.ok(Number.isSafeInteger(range.start) && Number.isSafeInteger(range.end));
      assert.ok(range.start >= 0 && range.start < range.end && range.end <= size, `${text} of ${size}`);
    }),
    { numRuns: 3000 },
  );
});

test('a Content-Range that is taken is made of whole numbers in order', () => {
  const text = fc.oneof(
    header,
    header.map((value) => value.replace('bytes=', '')),
  );
  fc.assert(
    fc.property(text, (value) => {
      const range = parseContentRange(value);
      if (range === undefined) return;
      assert.ok(Number.isSafeInteger(range.first) && Number.isSafeInteger(range.last));
      assert.ok(range.first >= 0 && range.last >= range.first - 1);
    }),
  );
});

const descriptor = fc.record(
  {
    mediaType: fc.oneof(fc.constantFrom(...Object.values(mediaTypes)), fc.jsonValue()),
    digest: fc.oneof(fc.constant(`sha256:${'a'.repeat(64)}`), fc.jsonValue()),
    size: fc.oneof(fc.nat(), fc.double(), fc.jsonValue()),
    annotations: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.jsonValue()),
    urls: fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const document = fc.record(
  {
    schemaVersion: fc.oneof(
      { weight: 5, arbitrary: fc.constant(2) },
      { weight: 1, arbitrary: fc.jsonValue() },
    ),
    mediaType: fc.oneof(fc.constantFrom(...Object.values(mediaTypes)), fc.jsonValue()),
    config: fc.oneof(descriptor, fc.jsonValue()),
    layers: fc.oneof(fc.array(descriptor, { maxLength: 3 }), fc.jsonValue()),
    manifests: fc.oneof(fc.array(descriptor, { maxLength: 3 }), fc.jsonValue()),
    subject: fc.oneof(descriptor, fc.jsonValue()),
    annotations: fc.jsonValue(),
    artifactType: fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const contentType = fc.option(fc.oneof(fc.constantFrom(...Object.values(mediaTypes)), fc.string()), {
  nil: undefined,
});

test('a document is a manifest whose parts are sound, or is refused as none', () => {
  const bytes = fc.oneof(
    document.map((value) => Buffer.from(JSON.stringify(value))),
    fc.uint8Array({ maxLength: 50 }).map((value) => Buffer.from(value)),
    fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
  );
  fc.assert(
    fc.property(bytes, contentType, (body, type) => {
      const manifest = attempt(() => parseManifest(body, type));
      if (manifest instanceof Error) return assert.ok(manifest instanceof ManifestError, String(manifest));
      for (const { digest, size } of [...manifest.blobs, ...manifest.manifests]) {
        assert.ok(parseDigest(digest) !== undefined && Number.isSafeInteger(size) && size >= 0);
      }
    }),
    { numRuns: 2000 },
  );
});

test('whatever a client sends to say who it is, it is understood or refused', () => {
  const keys = { byId: new Map(), roots: [] };
  const algorithms = new Set(['ES256', 'HS256']);
  const encoded = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
    fc
      .record(
        {
          alg: fc.constantFrom('ES256', 'HS256', 'none'),
          x5c: fc.jsonValue(),
          jwk: fc.jsonValue(),
          kid: fc.string(),
        },
        { requiredKeys: [] },
      )
      .map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
  );
  fc.assert(
    fc.property(fc.array(encoded, { maxLength: 4 }), (parts) => {
      const claims = attempt(() => readToken(parts.join('.'), keys, algorithms, 0));
      assert.ok(claims instanceof TokenError, JSON.stringify(claims));
      const basic = parseBasicCredentials(`Basic ${parts.join('')}`);
      if (typeof basic === 'object') assert.ok(basic.user !== '' && !basic.user.includes(':'));
    }),
    { numRuns: 1000 },
  );
});

test('conditions hold or fail as PRECONDITION_FAILED, and rules are rules or refused with a reason', () => {
  const value = fc.option(
    fc.oneof(fc.constantFrom('*', '"sha256:x"', 'W/"sha256:x"', '"a", "sha256:x"'), fc.string()),
    { nil: undefined },
  );
  fc.assert(
    fc.property(
      value,
      value,
      fc.option(fc.constant('sha256:x'), { nil: undefined }),
      (match, noneMatch, current) => {
        const headers = {
          ...(match !== undefined && { 'if-match': match }),
          ...(noneMatch !== undefined && { 'if-none-match': noneMatch }),
        };
        const outcome = attempt(() => writeCondition(headers)?.(current));
        if (outcome instanceof Error)
          assert.ok(outcome instanceof RegistryError && outcome.code === 'PRECONDITION_FAILED');
        else if (noneMatch === '*') assert.equal(current, undefined);
      },
    ),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.jsonValue().map((json) => JSON.stringify(json)),
      ),
      (text) => {
        const rules = attempt(() => parseAccessRules(text));
        if (rules instanceof Error) assert.match(rules.message, /./);
        else assert.equal(typeof rules.permits('ann', 'a', 'pull'), 'boolean');
      },
    ),
  );
});
