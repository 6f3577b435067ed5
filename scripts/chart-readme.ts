import { load } from 'js-yaml';

interface ChartValue {
  /** As `--set` names it. */
  readonly path: string;
  readonly value: unknown;
  readonly about: string;
}

/** Maps that a user replaces or adds to as a whole. */
const WHOLE: ReadonlySet<string> = new Set([
  'resources',
  'nodeAccess.resources',
  'monitoring.dashboard.labels',
]);

/**
 * The values of a chart that a user sets, with the comments that stand before them.
 *
 * @throws {Error} for a value without a comment
 */
export function chartValues(text: string): readonly ChartValue[] {
  const comments = commentsByPath(text);
  return [...leaves(load(text), '')].map(({ path, value }) => {
    const about = comments.get(path) ?? '';
    if (about === '') throw new Error(`values.yaml: ${path} has no comment before it`);
    return { path, value, about };
  });
}

/** The README with its table of values as values.yaml says. */
export function chartReadme(readme: string, values: string): string {
  const rows = chartValues(values).map(({ path, value, about }) => [
    `\`${path}\``,
    path.endsWith('resources') ? 'see `values.yaml`' : `\`${JSON.stringify(value)}\``,
    about.replaceAll('|', '\\|'),
  ]);
  return readme.replace(
    /(<!-- values: .*? -->\n\n).*?(\n\n<!-- end of values -->)/s,
    (_, begin: string, end: string) =>
      `${begin}${table([['value', 'default', 'what it is'], ...rows])}${end}`,
  );
}

function* leaves(
  value: unknown,
  path: string,
): Generator<{ readonly path: string; readonly value: unknown }> {
  const isGroup =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length > 0 &&
    !WHOLE.has(path);
  if (!isGroup) {
    yield { path, value };
    return;
  }
  for (const [key, inner] of Object.entries<unknown>({ ...value })) {
    yield* leaves(inner, path === '' ? key : `${path}.${key}`);
  }
}

function commentsByPath(text: string): ReadonlyMap<string, string> {
  const comments = new Map<string, string>();
  let pending: string[] = [];
  let parents: { readonly indent: number; readonly key: string }[] = [];
  for (const line of text.split('\n')) {
    const comment = /^ *# ?(.*)$/.exec(line)?.[1];
    const [, blanks = '', key] = /^( *)([A-Za-z]\w*):/.exec(line) ?? [];
    if (comment !== undefined) pending.push(comment);
    else if (key !== undefined) {
      parents = [...parents.filter(({ indent }) => indent < blanks.length), { indent: blanks.length, key }];
      comments.set(parents.map((parent) => parent.key).join('.'), pending.join(' '));
      pending = [];
    }
  }
  return comments;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[], fill = ' ') =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(['', '', ''], '-'), ...body.map((row) => line(row))].join('\n');
}
