/**
 * Measures the playground: `node bench/playground.ts`. How long API server, controllers and node take to start, and to list
 * 1,000 Registries' worth of objects (each a Registry and eight children).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry as MetricsRegistry } from 'prom-client';
import { customResourceDefinition } from '../src/api/crd.ts';
import { registryDefinition } from '../src/api/registry.ts';
import { configMaps, resourceType } from '../src/kube/resources.ts';
import type { KubeObject } from '../src/kube/object.ts';
import { startPlayground, type Playground } from '../src/playground/playground.ts';
import { systemClock } from '../src/process/clock.ts';
import { createLogger } from '../src/process/logger.ts';

const STARTS = 5;
const REGISTRIES = 1000;
const CHILDREN = 8;

interface Definition extends KubeObject {
  readonly spec: object;
}
interface Registry extends KubeObject {
  readonly spec: object;
}
const definitions = resourceType<Definition>({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
});
const registries = resourceType<Registry>({
  group: 'stevedore.dev',
  version: 'v1alpha1',
  plural: 'registries',
  kind: 'Registry',
  namespaced: true,
});

const root = join(import.meta.dirname, '..');
const start = (folder: string): Promise<Playground> =>
  startPlayground({
    folder,
    program: {
      node: process.execPath,
      main: join(root, 'src/main.ts'),
      folder: root,
      preload: join(root, 'src/playground/node/inside-pod.ts'),
    },
    image: 'localhost/stevedore:bench',
    version: '0.0.0',
    clock: systemClock,
    random: Math.random,
    log: createLogger({ level: 'error' }),
    metrics: new MetricsRegistry(),
  });

const folders: string[] = [];
const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-bench-'));
  folders.push(folder);
  return folder;
};
const timed = async <T>(work: () => Promise<T>): Promise<readonly [number, T]> => {
  const began = performance.now();
  const result = await work();
  return [performance.now() - began, result];
};
const row = (title: string, times: readonly number[], goal: string): void => {
  const text = times.map((time) => time.toFixed(0)).join(', ');
  console.log(`${title.padEnd(60)}${text.padStart(32)} ms   goal ${goal}`);
};

try {
  const starts: number[] = [];
  for (let count = 0; count < STARTS; count++) {
    const [milliseconds, playground] = await timed(async () => start(await newFolder()));
    starts.push(milliseconds);
    await playground.stop();
  }
  row('start of API server, controllers and node, new folder', starts, 'under 300');

  const playground = await start(await newFolder());
  const { metadata, ...definition } = customResourceDefinition(registryDefinition);
  await playground.client.create(definitions, { ...definition, metadata });
  const spec = { storage: { filesystem: { size: '1Gi' } } };
  for (let index = 0; index < REGISTRIES; index += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, offset) => {
        const name = `r${index + offset}`;
        await playground.client.create(registries, { metadata: { namespace: 'default', name }, spec });
        for (let child = 0; child < CHILDREN; child++) {
          const key = { namespace: 'default', name: `${name}-${child}` };
          await playground.client.create(configMaps, {
            metadata: key,
            data: { 'config.yml': 'version: 0.1\n' },
          });
        }
      }),
    );
  }
  const lists: number[] = [];
  for (let count = 0; count < STARTS; count++) {
    const [milliseconds] = await timed(async () => {
      await playground.client.list(registries, { namespace: 'default' });
      await playground.client.list(configMaps, { namespace: 'default' });
    });
    lists.push(milliseconds);
  }
  row(`list of ${REGISTRIES} Registries and ${REGISTRIES * CHILDREN} children`, lists, 'under 200');
  await playground.stop();
} finally {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}
