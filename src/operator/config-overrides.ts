import { ALLOWED_CONFIG } from '../api/registry-server.ts';
import { parseConfig, type ConfigProblem } from '../contract/config/config.ts';

type Tree = Readonly<Record<string, unknown>>;

/** `base` with what `overrides` sets: maps are merged, all else is replaced. */
export function mergeConfig(base: Tree, overrides: Tree): Tree {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(overrides)) {
    const present = merged.get(key);
    merged.set(key, isTree(present) && isTree(value) ? mergeConfig(present, value) : value);
  }
  return Object.fromEntries(merged);
}

/**
 * What is wrong with a configuration, for people; undefined when nothing is. What docker distribution would ignore is
 * wrong here, since nobody reads the log of a server that starts.
 *
 * @param overrides `spec.config`
 * @param file the whole configuration with `overrides` in it
 * @param environment the variables that the server gets; no message tells a value that is secret
 */
export function configFlaw(
  overrides: Tree,
  file: string,
  environment: Readonly<Record<string, string>>,
): string | undefined {
  const refused = leavesOf(overrides, '').filter(
    (path) => !ALLOWED_CONFIG.some((allowed) => path === allowed || path.startsWith(`${allowed}.`)),
  );
  if (refused.length > 0) {
    return `spec.config may not set ${refused.join(', ')}: remove it, or use the field that the resource has for it.`;
  }
  const { errors, warnings } = parseConfig(file, environment);
  const problems = [...errors, ...warnings];
  return problems.length === 0 ? undefined : `The server would not start with this: ${told(problems)}.`;
}

function told(problems: readonly ConfigProblem[]): string {
  return problems.map(({ path, message }) => `${path} ${message.replace(' and is ignored', '')}`).join('; ');
}

/** The paths of everything that is no map, and of maps without anything. */
function leavesOf(tree: Tree, path: string): readonly string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const own = path === '' ? key : `${path}.${key}`;
    return isTree(value) && Object.keys(value).length > 0 ? leavesOf(value, own) : [own];
  });
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
