import { parseConfig } from '../../src/contract/config/config.ts';
import type { SwiftOptions } from '../../src/contract/config/swift-section.ts';

/** Options of `storage.swift` as a configuration gives them, with the defaults filled in. */
export function swiftOptions(options: Readonly<Record<string, unknown>>): SwiftOptions {
  const given = { username: 'tester', password: 'secret', container: 'registry', ...options };
  const { config, errors } = parseConfig(
    JSON.stringify({ version: '0.1', http: { addr: ':0' }, storage: { swift: given } }),
  );
  if (config?.storage.swift === undefined) throw new Error(JSON.stringify(errors));
  return config.storage.swift;
}
