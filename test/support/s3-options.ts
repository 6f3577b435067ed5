import { parseConfig } from '../../src/contract/config/config.ts';
import type { S3Options } from '../../src/contract/config/s3-section.ts';

/** Options of `storage.s3` as a configuration gives them, with the defaults filled in. */
export function s3Options(options: Readonly<Record<string, unknown>>): S3Options {
  const document = { version: '0.1', http: { addr: ':0' }, storage: { s3: options } };
  const { config, errors } = parseConfig(JSON.stringify(document));
  if (config?.storage.s3 === undefined) throw new Error(JSON.stringify(errors));
  return config.storage.s3;
}
