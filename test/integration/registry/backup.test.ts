import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Acknowledged } from '../../e2e/acknowledged.ts';
import { succeed } from '../../e2e/command.ts';
import { HttpRegistry, randomImage } from '../../e2e/http-registry.ts';
import { testRandom } from '../../e2e/seeded-random.ts';
import { runProgram } from '../../support/run-program.ts';
import { startServe } from '../../support/serve-process.ts';

const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/garbage-collection.md'), 'utf8');

/** The shell block of the guide that says something. */
function blockWith(text: string): string {
  const block = [...guide.matchAll(/^```sh\n(.*?)^```$/gms)].find(([, body]) => body?.includes(text));
  return block?.[1] ?? assert.fail(`the guide does not say ${text}`);
}

test('a backup that was made beside pushes, as the guide says, restores what was acknowledged before', async (t) => {
  const random = testRandom(t);
  const server = await startServe(t);
  const registry = new HttpRegistry(server.url);
  const ledger = new Acknowledged();
  const push = async (tag: string, into?: Acknowledged): Promise<void> => {
    const { blobs, manifest } = randomImage(random, 30_000);
    for (const blob of blobs) {
      const digest = await registry.pushBlob('team/app', blob);
      into?.blob('team/app', digest);
    }
    const digest = await registry.pushManifest('team/app', tag, manifest);
    into?.tagged('team/app', tag, digest);
  };
  for (let image = 0; image < 10; image++) await push(`v${image}`, ledger);

  const folder = mkdtempSync(join(tmpdir(), 'backup-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [backup, restored] = [join(folder, 'backup'), join(folder, 'restored')];
  mkdirSync(backup);
  const environment = {
    STORAGE: join(server.folder, 'storage'),
    BACKUP: backup,
    RESTORED: join(restored, 'storage'),
  };
  const copied = new AbortController();
  const pushing = async (): Promise<number> => {
    let image = 0;
    while (!copied.signal.aborted) await push(`meanwhile${image++}`);
    return image;
  };
  const copying = succeed('bash', ['-euo', 'pipefail', '-c', blockWith('tar -cf')], { environment }).finally(
    () => copied.abort(),
  );
  const [pushed] = await Promise.all([pushing(), copying]);
  t.diagnostic(`${pushed} images were pushed meanwhile`);
  await succeed('bash', ['-euo', 'pipefail', '-c', blockWith('tar -xf')], { environment });

  const second = await startServe(t, { folder: restored });
  await ledger.verify(new HttpRegistry(second.url));
  const now = ['--minimum-age=0s', '--trash-grace=0s', '--delete-untagged'];
  const collected = await runProgram(['garbage-collect', ...now, join(restored, 'config.yml')]);
  assert.equal(collected.code, 0, collected.stdout);
  await ledger.verify(new HttpRegistry(second.url));
});
