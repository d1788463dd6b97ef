/** Names that mean this machine, whoever asks. */
const loopback = ["localhost", "127.0.0.1", "[::1]"];

/** Whether an address is of this machine alone. */
export function isLoopback(hostname: string): boolean {
  const name = bracketed(hostname.toLowerCase());
  return loopback.includes(name) || /^127(\.\d{1,3}){3}$/.test(name) || name.endsWith(".localhost");
}

/**
 * Why a request is refused that came here under another name, if it did: a page in a browser can
 * have its own name point to this machine (DNS rebinding), but can't change the name it sends.
 */
export function strangerIn(
  headers: { readonly host?: string | undefined; readonly origin?: string | undefined },
  allowed: readonly string[],
): string | undefined {
  const known = (name: string | undefined) =>
    name !== undefined &&
    (isLoopback(name) || allowed.some((one) => bracketed(one.toLowerCase()) === name));
  const { host, origin } = headers;
  if (!known(hostnameOf(`http://${host ?? ""}`))) return "Its Host is not one of the proxy's.";
  if (origin !== undefined && !known(hostnameOf(origin))) return "Its Origin is not allowed here.";
  return undefined;
}

function hostnameOf(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address).hostname.toLowerCase() || undefined : undefined;
}

/** As a URL writes it: an IPv6 address in brackets. */
export function bracketed(hostname: string): string {
  return hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
}
