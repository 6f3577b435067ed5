import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Digest } from '../../../src/oci/digest.ts';
import type { StorageDriver } from '../../../src/registry/storage/driver.ts';
import { createFilesystemDriver } from '../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { blobDataPath, tagCurrentLinkPath } from '../../../src/registry/storage/paths.ts';
import { fallbackTag } from '../../../src/registry/storage/referrers.ts';
import { logSink } from '../../support/log-sink.ts';
import { RegistryContent, repositoryName } from '../../support/registry-content.ts';
import { runProgram } from '../../support/run-program.ts';

interface Site {
  readonly config: string;
  readonly driver: StorageDriver;
  readonly layer: Digest;
  readonly image: Digest;
}

/** An image under a tag, and a signature of it. */
async function site(t: TestContext): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'scrub-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const driver = createFilesystemDriver({ root: join(folder, 'storage'), log: logSink().log });
  const content = new RegistryContent(driver);
  const layer = await content.blob('layer');
  const image = await content.image([layer]);
  await content.tag('latest', image);
  await content.image([], { subject: image, config: '{"signs":1}' });
  const config = join(folder, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1\nhttp: {addr: ":0"}\nstorage: {filesystem: {rootdirectory: ${folder}/storage}}\n`,
  );
  return { config, driver, layer, image };
}

test('a storage in order exits with 0, and tags for referrers are written when asked for', async (t) => {
  const { config, driver, image } = await site(t);
  const plain = await runProgram(['scrub', config]);
  assert.equal(plain.code, 0, plain.stderr);
  assert.match(
    plain.stdout,
    /^1 repositories, 2 manifests and 5 blobs of \d+ bytes were read: all is well\n$/,
  );
  const tag = fallbackTag(image);
  assert.ok(tag);
  const path = tagCurrentLinkPath(repositoryName('library/app'), tag);
  await assert.rejects(driver.stat(path));
  const writing = await runProgram(['scrub', '--write-fallback-tags', config]);
  assert.equal(writing.code, 0, writing.stderr);
  await driver.stat(path);
});

test('what is wrong is told line by line, or as JSON, and exits with 1', async (t) => {
  const { config, driver, layer } = await site(t);
  await driver.putContent(blobDataPath(layer), Buffer.from('other'));
  const text = await runProgram(['scrub', config]);
  assert.equal(text.code, 1);
  assert.match(
    text.stdout,
    new RegExp(`^corrupt +the data of ${layer} is that of sha256:[^]*: 1 problems\n$`),
  );
  const json = await runProgram(['scrub', '--format', 'json', config]);
  assert.equal(json.code, 1);
  const { findings, findingsLeftOut } = JSON.parse(json.stdout) as Readonly<Record<string, object>>; // what it prints
  assert.equal(findingsLeftOut, 0);
  assert.deepEqual(
    (findings as readonly object[]).map((finding) => ({ ...finding, problem: '' })), // a list, as it says
    [{ kind: 'corrupt', path: blobDataPath(layer), problem: '' }],
  );
});

test('a rate holds reads back', async (t) => {
  const { config } = await site(t);
  const began = performance.now();
  const { code } = await runProgram(['scrub', '--rate', '1KiB/s', config]);
  assert.equal(code, 0);
  assert.ok(performance.now() - began > 500, 'some 1100 bytes take a second');
});

test('options that make no sense are told', async (t) => {
  const { config } = await site(t);
  for (const [option, value, message] of [
    ['--rate', '50', /--rate: '50' is not a rate such as 50MiB\/s/],
    ['--rate', '5MB/s', /--rate/],
    ['--concurrency', '0', /--concurrency is a number from 1/],
    ['--format', 'yaml', /--format is text or json/],
  ] as const) {
    const { code, stderr } = await runProgram(['scrub', option, value, config]);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
});
