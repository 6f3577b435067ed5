import { writeFile } from 'node:fs/promises';
import { loadKubeConfig } from '../../../src/kube/credentials.ts';

/** Writes a kubeconfig as `from`, but reaching the API server at another address, and trusting another CA where one is given. */
export async function writeKubeconfigThrough(options: {
  readonly from: string;
  readonly to: string;
  readonly server: string;
  /** PEM. */
  readonly authority?: string;
}): Promise<void> {
  const config = loadKubeConfig(options.from);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${options.from} has no current cluster`);
  config.clusters = [
    {
      ...cluster,
      server: options.server,
      ...(options.authority !== undefined && { caData: Buffer.from(options.authority).toString('base64') }),
    },
  ];
  await writeFile(options.to, config.exportConfig(), { mode: 0o600 });
}
