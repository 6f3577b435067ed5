import { RE2JS } from 're2js';
import type { Config } from '../../contract/config/config.ts';
import type { Descriptor, Manifest, Platform } from '../../oci/manifest.ts';
import { isIndexMediaType } from '../../oci/media-type.ts';
import { RegistryError } from '../errors.ts';

/** What the configuration says about the manifests that are taken (`validation`, `policy.repository.classes`). */
export interface ManifestRules {
  /** @throws RegistryError DENIED, MANIFEST_INVALID */
  assertAllowed(manifest: Manifest): void;
  /** Whether a manifest of an index has to be there before the index. */
  mustExist(child: Descriptor): boolean;
}

export function createManifestRules({
  validation,
  policy,
}: Pick<Config, 'validation' | 'policy'>): ManifestRules {
  const isValidating = validation.enabled || !validation.disabled;
  const { classes } = policy.repository;
  const isAllowedUrl = isValidating ? urlRule(validation.manifests.urls) : () => true;
  const { platforms, platformlist } = validation.manifests.indexes;
  return {
    assertAllowed(manifest) {
      if (classes.length > 0) assertClass(manifest, classes);
      for (const layer of manifest.blobs.slice(1)) assertUrls(layer, isAllowedUrl);
    },
    mustExist(child) {
      if (!isValidating || platforms === 'none') return false;
      return platforms === 'all' || platformlist.length === 0 || isListed(child.platform, platformlist);
    },
  };
}

function isListed(platform: Platform | undefined, listed: readonly Platform[]): boolean {
  return listed.some(({ architecture, os }) => architecture === platform?.architecture && os === platform.os);
}

function assertUrls(layer: Descriptor, isAllowed: (url: string) => boolean): void {
  const refused = layer.urls?.find((url) => !isPlainWebUrl(url) || !isAllowed(url));
  if (refused === undefined) return;
  throw new RegistryError({
    code: 'MANIFEST_INVALID',
    message: 'a layer names a URL that validation.manifests.urls of the registry does not allow',
    detail: { digest: layer.digest, url: refused },
  });
}

function isPlainWebUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return (url?.protocol === 'https:' || url?.protocol === 'http:') && url.hash === '';
}

function urlRule(urls: Config['validation']['manifests']['urls']): (url: string) => boolean {
  if (urls.allow.length === 0 && urls.deny.length === 0) return () => false;
  const allow = urls.allow.map((pattern) => RE2JS.compile(pattern));
  const deny = urls.deny.map((pattern) => RE2JS.compile(pattern));
  const matches = (patterns: readonly RE2JS[], url: string): boolean =>
    patterns.some((pattern) => pattern.matcher(url).find());
  return (url) => (allow.length === 0 || matches(allow, url)) && !matches(deny, url);
}

/** docker distribution's classes, by the type of the config. */
const classOfConfig: Readonly<Record<string, string>> = {
  'application/vnd.docker.container.image.v1+json': 'image',
  'application/vnd.oci.image.config.v1+json': 'image',
  'application/vnd.docker.plugin.v1+json': 'plugin',
};

/** An index has no class: what it lists was judged for itself. */
function assertClass({ mediaType, blobs }: Manifest, allowed: readonly string[]): void {
  if (isIndexMediaType(mediaType)) return;
  const config = blobs[0]?.mediaType ?? '';
  const found = Object.hasOwn(classOfConfig, config) ? classOfConfig[config] : undefined;
  if (found !== undefined && allowed.includes(found)) return;
  const message =
    found === undefined
      ? `unknown manifest class for ${config}`
      : `registry does not allow ${found} manifest`;
  throw new RegistryError({ code: 'DENIED', message });
}
