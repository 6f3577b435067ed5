import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startServe } from '../support/serve-process.ts';
import { script } from './cluster.ts';
import { succeed } from './command.ts';
import { distributions, serveWithDistribution, type Distribution } from './distribution.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { startDocker } from './support/dockerd.ts';

const program = join(import.meta.dirname, '../../bin/stevedore');

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'copy-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function tool(name: 'crane' | 'oras', args: readonly string[]): Promise<string> {
  return (await succeed((await script('tools', [name])).trim(), args)).trim();
}

function stevedore(...args: readonly string[]): Promise<string> {
  return succeed(program, ['copy', ...args]);
}

const host = (url: string): string => new URL(url).host;

/** Ours, one of distribution's, and an image as a layout. */
async function start(t: TestContext, distribution: Distribution) {
  const folder = temporaryFolder(t);
  const ours = host((await startServe(t)).url);
  const place = { config: join(folder, 'theirs.yml'), storage: join(folder, 'storage') };
  const theirs = host((await serveWithDistribution(t, distribution, place)).url);
  const image: ImageLayout = await writeImageLayout(join(folder, 'image'), 3, 3_000_000);
  return { folder, ours, theirs, image };
}

for (const distribution of distributions) {
  test(`whole registries move between ${distribution.title} and ours, with signatures`, async (t) => {
    const { folder, ours, theirs, image } = await start(t, distribution);
    await tool('crane', ['push', image.folder, `${theirs}/team/app:v1`]);
    await tool('crane', ['copy', `${theirs}/team/app:v1`, `${theirs}/other:latest`]);
    const both = ['index', 'append', '-m', `${theirs}/team/app:v1`, '-t', `${theirs}/team/app:index`];
    const index = (await tool('crane', both)).split('@')[1];
    writeFileSync(join(folder, 'sbom.json'), '{"sbom":true}');
    // It has no referrers API, so oras uses the fallback tag.
    await succeed(
      (await script('tools', ['oras'])).trim(),
      ['attach', '--plain-http', '--artifact-type=application/sbom', `${theirs}/team/app:v1`, 'sbom.json'],
      { folder },
    );

    await stevedore('--all', '--referrers', theirs, ours);
    assert.equal(await tool('crane', ['digest', `${ours}/team/app:v1`]), image.digest);
    assert.equal(await tool('crane', ['digest', `${ours}/team/app:index`]), index);
    const discovered = await tool('oras', [
      'discover',
      '--plain-http',
      '--format=json',
      `${ours}/team/app:v1`,
    ]);
    assert.match(discovered, /application\/sbom/);
    await tool('crane', ['pull', '--format=oci', `${ours}/other`, join(folder, 'pulled')]);
    assert.equal(await compareLayouts(image.folder, join(folder, 'pulled')), image.size);

    // And back into an empty corner, where the referrer has to be found by its tag.
    await stevedore('--referrers', `${ours}/team/app:v1`, `${theirs}/back/app:v2`);
    const back = await tool('oras', ['discover', '--plain-http', '--format=json', `${theirs}/back/app:v2`]);
    assert.match(back, /application\/sbom/);
    assert.match(await stevedore('--all', '--referrers', theirs, ours), / 0 failed/);
  });
}

test('layouts and archives of crane, skopeo and docker save are read, and they read ours', async (t) => {
  const [, distribution] = distributions;
  if (distribution === undefined) throw new Error('there is no distribution 3');
  const { folder, ours, theirs, image } = await start(t, distribution);
  const path = (name: string): string => join(folder, name);

  // Layouts.
  await stevedore(`oci:${image.folder}`, `${ours}/team/app:v1`);
  await stevedore(`${ours}/team/app:v1`, `oci:${path('ours')}:v1`);
  await succeed('skopeo', [
    'copy',
    '--preserve-digests',
    `oci:${path('ours')}:v1`,
    `oci:${path('skopeo')}:v2`,
  ]);
  await stevedore(`oci:${path('skopeo')}:v2`, `${theirs}/skopeo/app`);
  assert.equal(await tool('crane', ['digest', `${theirs}/skopeo/app:v2`]), image.digest);
  await tool('crane', ['push', path('ours'), `${ours}/crane/app:v3`]);
  assert.equal(await tool('crane', ['digest', `${ours}/crane/app:v3`]), image.digest);

  // Archives: crane's and skopeo's, of which the latter is docker's own format.
  await tool('crane', ['pull', `${ours}/team/app:v1`, path('crane.tar')]);
  const unpacked = ['copy', '--dest-compress=false', `oci:${path('ours')}:v1`];
  await succeed('skopeo', [...unpacked, `docker-archive:${path('skopeo.tar')}:team/app:v1`]);
  for (const name of ['crane', 'skopeo']) {
    await stevedore(`docker-archive:${path(`${name}.tar`)}`, `${ours}/archive/${name}:v1`);
    const manifest = await tool('crane', ['manifest', `${ours}/archive/${name}:v1`]);
    for (const layer of image.layers) assert.ok(manifest.includes(layer), manifest);
  }
  await stevedore(`${ours}/team/app:v1`, `docker-archive:${path('ours.tar')}:my/app:v1`);
  await succeed('skopeo', [
    'copy',
    `docker-archive:${path('ours.tar')}:my/app:v1`,
    `oci:${path('again')}:v1`,
  ]);
  await tool('crane', ['push', path('ours.tar'), `${ours}/pushed/app:v1`]);
  const config = await tool('crane', ['config', `${ours}/pushed/app:v1`]);
  for (const layer of image.layers) assert.ok(config.includes(layer), config);
});

test('docker loads what was copied to an archive, and what docker saved is copied', async (t) => {
  const folder = temporaryFolder(t);
  const ours = host((await startServe(t)).url);
  const docker = await startDocker(t, { authorities: {} });
  const context = join(folder, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY file /file\nCOPY file /other\n');
  writeFileSync(join(context, 'file'), 'x'.repeat(300_000));
  await docker.docker('build', '--quiet', '--tag', 'team/app:v1', context);
  const id = (await docker.docker('image', 'inspect', '--format', '{{.Id}}', 'team/app:v1')).trim();
  const saved = join(folder, 'saved.tar');
  await docker.docker('save', '--output', saved, 'team/app:v1');
  await stevedore('--all-tags', `docker-archive:${saved}`, `${ours}/team/app`);
  await docker.docker('image', 'rm', 'team/app:v1');
  await stevedore(`${ours}/team/app:v1`, `docker-archive:${join(folder, 'copied.tar')}:again/app:v2`);
  await docker.docker('load', '--input', join(folder, 'copied.tar'));
  assert.equal((await docker.docker('image', 'inspect', '--format', '{{.Id}}', 'again/app:v2')).trim(), id);
});
