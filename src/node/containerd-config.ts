import { parse } from 'smol-toml';

/**
 * Whether containerd, as it is configured, reads our folder. Nobody asks containerd itself: this is what its files say,
 * and it reads them when it starts.
 *
 * https://github.com/containerd/containerd/blob/main/docs/cri/registry.md
 */

/** Which plugin has `registry.config_path`, by the version of the file. A file that names no version has 1. */
const REGISTRY_PLUGIN: Readonly<Record<number, string>> = {
  1: 'cri',
  2: 'io.containerd.grpc.v1.cri',
  3: 'io.containerd.cri.v1.images',
};
const NEWEST_VERSION = 3;

/**
 * @param texts `config.toml` and, behind it, what it imports, in this order; none: there is no configuration
 * @param folder where hosts.toml files are written, as containerd knows it
 * @returns why what is there has no effect and what to set, for people; undefined when it has
 */
export function containerdProblem(texts: readonly string[], folder: string): string | undefined {
  const files = texts.map(parseConfig);
  if (files.includes(undefined)) return 'The configuration of containerd is no TOML.';
  const version = files.length === 0 ? NEWEST_VERSION : versionOf(files[0]);
  const plugin = REGISTRY_PLUGIN[version];
  // Where a later version has the setting nobody knows yet.
  if (plugin === undefined) return undefined;
  const remedy = `Set config_path = "${folder}" in [plugins."${plugin}".registry] of its config.toml (version = ${version}) and restart it.`;
  // Of what is imported the last counts.
  const configPath = files.map((file) => configPathIn(file, plugin)).findLast((path) => path !== undefined);
  if (configPath === undefined) return `${absence(files, version, plugin)} ${remedy}`;
  const paths = configPath.split(':').map((path) => path.replace(/\/+$/, ''));
  if (!paths.includes(folder)) return `containerd reads ${configPath} and not ${folder}. ${remedy}`;
  if (paths.length > 1 && !pullsLocally(files)) {
    return `containerd 2.1 and later ignore a config_path of several folders (${configPath}). ${remedy}`;
  }
  return undefined;
}

/** What a configuration imports: paths in which `*` stands for anything. */
export function importsOf(text: string): readonly string[] {
  const imports = at(parseConfig(text), 'imports');
  return Array.isArray(imports) ? imports.filter((name) => typeof name === 'string') : [];
}

function absence(files: readonly unknown[], version: number, plugin: string): string {
  const elsewhere = Object.values(REGISTRY_PLUGIN).find((other) =>
    files.some((file) => configPathIn(file, other) !== undefined),
  );
  if (elsewhere !== undefined) {
    return `containerd's configuration has the version ${version}, in which a config_path of the plugin ${elsewhere} is not read.`;
  }
  return files.some((file) => at(file, 'plugins', plugin, 'registry', 'mirrors') !== undefined)
    ? 'containerd is configured with registry.mirrors, beside which there can be no config_path.'
    : 'containerd is configured with no config_path, without which it reads no hosts.toml.';
}

/** Where containerd 2 does not pull by its transfer service, several folders are read as by containerd 1. */
function pullsLocally(files: readonly unknown[]): boolean {
  return ['use_local_image_pull', 'discard_unpacked_layers'].some((option) =>
    files.some((file) => at(file, 'plugins', 'io.containerd.cri.v1.images', option) === true),
  );
}

function configPathIn(file: unknown, plugin: string): string | undefined {
  const path = at(file, 'plugins', plugin, 'registry', 'config_path');
  return typeof path === 'string' && path !== '' ? path : undefined;
}

function versionOf(file: unknown): number {
  const version = at(file, 'version');
  return typeof version === 'number' ? version : 1;
}

function parseConfig(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (table, key) =>
      typeof table === 'object' && table !== null ? new Map(Object.entries(table)).get(key) : undefined,
    value,
  );
}
