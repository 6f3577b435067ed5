import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

/** Which folders of src/ may import which. docs/architecture.md draws the same picture. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['commands'],
  commands: [
    'operator',
    'mirror',
    'registry',
    'playground',
    'copy',
    'node',
    'oci-client',
    'contract',
    'api',
    'pki',
    'oci',
    'kube',
    'process',
  ],
  operator: ['contract', 'api', 'pki', 'kube', 'process'],
  registry: ['contract', 'oci', 'process'],
  mirror: ['registry', 'oci-client', 'contract', 'oci', 'process'],
  playground: ['contract', 'api', 'pki', 'oci', 'kube', 'process'],
  copy: ['oci-client', 'oci', 'process'],
  node: ['contract', 'process'],
  'oci-client': ['oci', 'process'],
  contract: [],
  api: [],
  pki: [],
  oci: [],
  kube: ['process'],
  process: [],
};

/** Packages and Node modules that only some folders may use. */
const reserved: readonly { readonly what: RegExp; readonly only: readonly string[] }[] = [
  { what: /^@kubernetes\/client-node/, only: ['kube'] },
  { what: /^fastify/, only: ['registry'] },
  { what: /^node-forge/, only: ['pki'] },
  { what: /^undici/, only: ['kube', 'mirror', 'oci-client', 'registry', 'process', 'node'] },
  { what: /^pino/, only: ['process'] },
  { what: /^@marcbachmann\/cel-js/, only: ['playground'] },
  { what: /^smol-toml/, only: ['node'] },
  // For the version.
  { what: /package\.json$/, only: ['commands'] },
  // No I/O in what must stay pure.
  {
    what: /^node:(?!crypto$|util$|url$|net$)/,
    only: [
      'main.ts',
      'commands',
      'operator',
      'mirror',
      'registry',
      'playground',
      'copy',
      'node',
      'oci-client',
      'kube',
      'process',
    ],
  },
];

const source = new URL('../../src', import.meta.url).pathname;

test('every import stays within the walls', () => {
  const broken: string[] = [];
  for (const file of sourceFiles(source)) {
    const from = folderOf(file);
    assert.ok(
      from in mayImport,
      `src/${from} is not in the table of folders: add it and say what it may import`,
    );
    for (const specifier of importsOf(file)) {
      const rule = reserved.find(({ what }) => what.test(specifier));
      if (rule !== undefined && !rule.only.includes(from)) {
        broken.push(`${relative(source, file)} imports ${specifier}, which only ${rule.only.join(', ')} may`);
      }
      if (!specifier.startsWith('.') || specifier.endsWith('package.json')) continue;
      const to = folderOf(normalize(join(dirname(file), specifier)));
      if (to !== from && !mayImport[from]?.includes(to)) {
        broken.push(
          `${chainTo(file).join(' → ')} → ${relative(source, normalize(join(dirname(file), specifier)))}`,
        );
      }
    }
  }
  assert.deepEqual(broken, []);
});

test('serve does not load the Kubernetes client', () => {
  const loaded = reachable(join(source, 'commands/serve.ts'));
  const guilty = [...loaded].filter((file) =>
    importsOf(file).some((name) => name.startsWith('@kubernetes/')),
  );
  assert.deepEqual(guilty, []);
});

test('below the commands nothing reads the environment of the process', () => {
  const guilty = sourceFiles(source).filter(
    (file) =>
      !['main.ts', 'commands'].includes(folderOf(file)) && readFileSync(file, 'utf8').includes('process.env'),
  );
  assert.deepEqual(
    guilty.map((file) => relative(source, file)),
    [],
  );
});

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function folderOf(file: string): string {
  return relative(source, file).split('/')[0] ?? '';
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const statements = text.matchAll(
    /^(?:import|export)\s[^;]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm,
  );
  return [...statements].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** Files that `file` loads when it is imported, by relative imports. */
function reachable(file: string): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const name of importsOf(path)) if (name.startsWith('.')) visit(normalize(join(dirname(path), name)));
  };
  visit(file);
  return seen;
}

/** The shortest way from main.ts to `file`, so that the reader sees how the import came to be. */
function chainTo(file: string): string[] {
  const main = join(source, 'main.ts');
  const cameFrom = new Map<string, string | undefined>([[main, undefined]]);
  const queue = [main];
  for (let at = queue.shift(); at !== undefined && !cameFrom.has(file); at = queue.shift()) {
    for (const name of importsOf(at).filter((specifier) => specifier.startsWith('.'))) {
      const next = normalize(join(dirname(at), name));
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      queue.push(next);
    }
  }
  const chain: string[] = [];
  for (let at: string | undefined = file; at !== undefined; at = cameFrom.get(at))
    chain.unshift(relative(source, at));
  return chain;
}
