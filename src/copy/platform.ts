import { parseDigest, type Digest } from '../oci/digest.ts';

/** As in `linux/arm64` or `linux/arm/v7`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

export function parsePlatform(text: string): Platform | undefined {
  const match = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9]+))?$/.exec(text);
  return match === null ? undefined : { os: match[1] ?? '', architecture: match[2] ?? '', variant: match[3] };
}

/** That of this machine, as far as images go. */
export function ownPlatform(architecture: NodeJS.Architecture): Platform {
  return { os: 'linux', architecture: architecture === 'x64' ? 'amd64' : architecture, variant: undefined };
}

interface Choice {
  readonly digest: string;
  readonly platform?: Partial<Platform>;
}

/** The image of an index for a platform. @throws Error that names those that there are. */
export function choosePlatform(index: Buffer, wanted: Platform, title: string): Digest {
  const { manifests = [] } = JSON.parse(index.toString()) as { readonly manifests?: readonly Choice[] }; // an index
  const found = manifests.find(
    (choice) =>
      choice.platform?.os === wanted.os &&
      choice.platform.architecture === wanted.architecture &&
      (wanted.variant === undefined || variantOf(choice.platform) === variantOf(wanted)),
  );
  const digest = parseDigest(found?.digest ?? '');
  if (digest !== undefined) return digest;
  const names = manifests.flatMap((choice) =>
    choice.platform === undefined ? [] : [formatPlatform(choice.platform)],
  );
  throw new Error(
    `${title} has no image for ${formatPlatform(wanted)}, but for ${names.join(', ') || 'no platform'}`,
  );
}

/** An image for `arm64` is one for `arm64/v8`: most say nothing. As containerd's platforms.Normalize. */
function variantOf({ architecture, variant }: Partial<Platform>): string | undefined {
  if (architecture === 'arm64') return variant ?? 'v8';
  return architecture === 'arm' ? (variant ?? 'v7') : variant;
}

function formatPlatform({ os, architecture, variant }: Partial<Platform>): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}
