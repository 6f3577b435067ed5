import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { Agent, fetch } from 'undici';
import { writePair } from '../support/serve-process.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { killProcess } from './collector-process.ts';
import { run, succeed } from './command.ts';
import { compareLayouts, writeImageLayout } from './image-layout.ts';
import { swiftContainer, type SwiftSettings } from './swift-container.ts';

const main = join(import.meta.dirname, '../../src/main.ts');

/** As people wrote them for registry 2.6 before a Ceph cluster, with a typo that nobody noticed. */
function oldConfig(folder: string, { authurl, username, password, container }: SwiftSettings): string {
  return `version: 0.1
log:
  fromatter: text
  fields:
    service: registry
storage:
  cache:
    layerinfo: inmemory
  swift:
    username: ${username}
    password: ${password}
    authurl: ${authurl}
    container: ${container}
http:
  addr: 127.0.0.1:0
  headers:
    X-Content-Type-Options: [nosniff]
  tls:
    certificate: ${folder}/tls.crt
    key: ${folder}/tls.key
auth:
  htpasswd:
    realm: basic-realm
    path: ${folder}/htpasswd
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`;
}

interface Running {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** Its log so far. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** Starts a registry and waits until it tells its address. */
async function start(t: TestContext, program: string, args: readonly string[]): Promise<Running> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  t.after(() => killProcess(child));
  const lines: string[] = [];
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      const found = /listening.*(127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('close', () => reject(new Error(lines.join('\n'))));
  });
  return { address, lines, stop: () => killProcess(child) };
}

test('a configuration of registry 2.6 for Swift and TLS starts with warnings, typos and all, and serves what is there', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'old-config-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = await createTestAuthority();
  writePair(folder, await authority.issue());
  writeFileSync(join(folder, 'htpasswd'), await succeed('htpasswd', ['-Bbn', 'alice', 'correct horse']));
  mkdirSync(join(folder, 'certs'));
  writeFileSync(join(folder, 'certs/ca.crt'), authority.certificate);
  const config = join(folder, 'config.yml');
  writeFileSync(config, oldConfig(folder, await swiftContainer()));
  const image = await writeImageLayout(join(folder, 'image'), 3, 500_000);
  const access = (side: 'src' | 'dest', password = 'correct horse'): readonly string[] => [
    `--${side}-cert-dir=${folder}/certs`,
    `--${side}-creds=alice:${password}`,
  ];
  const copy = (...args: readonly string[]): Promise<string> =>
    succeed('skopeo', ['copy', '--preserve-digests', ...args]);
  const push = (address: string, name: string): Promise<string> =>
    copy(...access('dest'), `oci:${image.folder}`, `docker://${address}/team/${name}:v1`);
  const pullBack = async (address: string, name: string): Promise<void> => {
    const target = mkdtempSync(join(folder, 'back-'));
    await copy(...access('src'), `docker://${address}/team/${name}:v1`, `oci:${target}`);
    assert.equal(await compareLayouts(image.folder, target), image.size);
  };

  const theirs = await start(t, 'docker-registry', ['serve', config]);
  await push(theirs.address, 'theirs');
  await theirs.stop();

  const ours = await start(t, process.execPath, [main, 'serve', config]);
  const warnings = ours.lines.filter((line) => line.includes('level=warn'));
  assert.equal(warnings.length, 1, ours.lines.join('\n'));
  assert.match(
    warnings[0] ?? '',
    /service=registry path=log\.fromatter problem="is not an option and is ignored, did you mean formatter\?"/,
  );
  await pullBack(ours.address, 'theirs');
  await push(ours.address, 'ours');
  await pullBack(ours.address, 'ours');
  const refused = await run('skopeo', [
    'copy',
    ...access('src', 'wrong'),
    `docker://${ours.address}/team/theirs:v1`,
    `oci:${folder}/refused`,
  ]);
  assert.notEqual(refused.code, 0);
  const dispatcher = new Agent({ connect: { ca: authority.certificate } });
  t.after(() => dispatcher.close());
  const catalog = await fetch(`https://${ours.address}/v2/_catalog`, { dispatcher });
  assert.equal(catalog.status, 401);
  assert.equal(catalog.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(catalog.headers.get('www-authenticate'), 'Basic realm="basic-realm"');
  assert.deepEqual(await catalog.json(), {
    errors: [
      {
        code: 'UNAUTHORIZED',
        message: 'authentication required',
        detail: [{ Type: 'registry', Class: '', Name: 'catalog', Action: '*' }],
      },
    ],
  });
  assert.ok(!ours.lines.some((line) => line.includes('swiftsecret')));
  await ours.stop();

  const again = await start(t, 'docker-registry', ['serve', config]);
  await pullBack(again.address, 'ours');
});
