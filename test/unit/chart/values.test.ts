import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';

const chart = join(import.meta.dirname, '../../../charts/stevedore');
const read = (file: string) => readFileSync(join(chart, file), 'utf8');

/** The values that a user sets: leaves, and maps that have no keys of ours (or, for `resources`, none that we name). */
function leaves(value: unknown, path = ''): string[] {
  const isGroup =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length > 0 &&
    !path.endsWith('resources') &&
    path !== 'monitoring.dashboard.labels';
  if (!isGroup) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
}

interface SchemaNode {
  readonly additionalProperties?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}

/** The leaves of values.schema.json, named the same way. */
function schemaLeaves(node: SchemaNode, path = ''): string[] {
  if (node.properties === undefined) return [path];
  return Object.entries(node.properties).flatMap(([key, inner]) =>
    schemaLeaves(inner, path === '' ? key : `${path}.${key}`),
  );
}

const values = leaves(load(read('values.yaml'))).sort();

test('the chart README documents every value, and no other', () => {
  const documented = Array.from(
    read('README.md').matchAll(/^\| `([A-Za-z.]+)` +\|/gm),
    (match) => match[1] ?? '',
  );
  assert.deepEqual(documented.sort(), values);
});

test('the chart schema knows every value, and no other', () => {
  // The file is ours, and a node of another shape fails the comparison.
  const schema = JSON.parse(read('values.schema.json')) as SchemaNode;
  // Helm passes `global` to every chart.
  const known = schemaLeaves(schema).filter((path) => path !== 'global');
  assert.deepEqual(known.sort(), values);
});
