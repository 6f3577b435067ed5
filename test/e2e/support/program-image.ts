import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { script } from '../cluster.ts';
import { run, succeed } from '../command.ts';

/** An image of one program with the libraries that it needs, on every node. It is the entry point. @returns its name */
export async function loadProgram(folder: string, program: string, name: string): Promise<string> {
  const image = `localhost/${name}:1`;
  mkdirSync(folder, { recursive: true });
  // Fails for a program that needs none.
  const { stdout: libraries } = await run('ldd', [program]);
  const files = [program, ...[...libraries.matchAll(/(\/\S+) \(0x/g)].map(([, file = '']) => file)];
  const layer = join(folder, 'layer.tar');
  await succeed('tar', [
    '--create',
    '--dereference',
    `--file=${layer}`,
    '--directory=/',
    ...files.map(relative),
  ]);
  const diff = createHash('sha256').update(readFileSync(layer)).digest('hex');
  const json = (file: string, content: object) => writeFileSync(join(folder, file), JSON.stringify(content));
  json('config.json', {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: [program] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diff}`] },
  });
  json('manifest.json', [{ Config: 'config.json', RepoTags: [image], Layers: ['layer.tar'] }]);
  const archive = join(folder, 'image.tar');
  const parts = ['config.json', 'manifest.json', 'layer.tar'];
  await succeed('tar', ['--create', `--file=${archive}`, `--directory=${folder}`, ...parts]);
  await script('kube', ['load', archive]);
  return image;
}

function relative(path: string): string {
  return path.replace(/^\//, '');
}
