-- PowerDNS: what tlsa-sync may do to a zone, and nothing else. PowerDNS' own
-- permissions end at the zone; this goes further. In pdns.conf:
--
--     dnsupdate=yes
--     lua-dnsupdate-policy-script=/etc/powerdns/tlsa-sync.lua
--
-- and once, with a secret from: openssl rand -base64 32
--
--     pdnsutil import-tsig-key tlsa-sync.example.org hmac-sha256 SECRET
--     pdnsutil set-meta example.org SOA-EDIT-DNSUPDATE INCREASE
--     pdnsutil set-meta example.org NOTIFY-DNSUPDATE 1
--
-- With a script, PowerDNS looks at neither TSIG-ALLOW-DNSUPDATE nor
-- ALLOW-DNSUPDATE-FROM: what is not allowed here is not allowed. It leaves out
-- what is refused and answers NOERROR all the same; tlsa-sync sees that from the
-- servers, which do not serve what it published.

local key = "tlsa-sync.example.org"
local owners = { "_25._tcp.mx1.example.org" } -- one for each MX host

function updatepolicy(request)
	if not request:getTsigName():equal(key) or request:getQType() ~= pdns.TLSA then
		return false
	end
	for _, owner in ipairs(owners) do
		if request:getQName():equal(owner) then
			return true
		end
	end
	return false
end
